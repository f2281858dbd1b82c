"""The record of maps: its arithmetic, and that it goes on where it was stopped."""

import json
import sys

import pytest
import torch

from benchmarks import maps


def test_the_axis_ratio_is_that_of_an_ellipse():
    draw = torch.Generator().manual_seed(0)
    round_ones = torch.randn(2000, 2, generator=draw)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    rays = (round_ones * torch.tensor([10.0, 1.0])) @ turn
    points = torch.cat([round_ones, rays, rays + 50])
    labels = torch.arange(3).repeat_interleave(2000)
    assert maps.axis_ratio(points, labels) == pytest.approx(10, rel=0.1)
    assert maps.axis_ratio(round_ones, labels[:2000]) == pytest.approx(1, rel=0.1)


def test_moved_images_are_the_pools_a_pixel_away_and_darker():
    pool = torch.zeros(1, 1, 9, 9)
    pool[0, 0, 4, 4] = 1.0
    images = maps.moved(pool, 60, torch.Generator().manual_seed(0))
    assert images.shape == (60, 1, 9, 9) and bool((images.amax((1, 2, 3)) >= 0.7).all())
    assert images[:, 0, 3:6, 3:6].amax((1, 2)).min() >= 0.7 and images.count_nonzero() == 60


def test_what_is_there_is_not_measured_again(tmp_path, monkeypatch, capsys):
    asked = []

    def measure(case, name):
        asked.append((case, name))
        numbers = {"inside": 3, "fresh": 0.5}
        return {"seed": case, "map": name, "fitting seconds": 1, "axis ratio": 2,
                "r": {"0.1": numbers}}  # fmt: skip

    monkeypatch.setattr(maps, "Case", lambda seed: seed)
    monkeypatch.setattr(maps, "measure", measure)
    out = tmp_path / "maps.jsonl"
    monkeypatch.setattr(sys, "argv", ["maps", "--seeds", "0", "--out", str(out)])
    maps.main()
    assert asked == [(0, name) for name in maps.MAPS]
    whole = out.read_text()
    out.write_text(whole[:-20])  # killed while it wrote the last line
    asked.clear()
    maps.main()
    assert asked == [(0, list(maps.MAPS)[-1])]
    assert [json.loads(text)["map"] for text in out.read_text().splitlines()] == list(maps.MAPS)
    assert "ours: axis ratio 2" in capsys.readouterr().out
