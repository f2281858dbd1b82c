"""Data sets by name: where they are looked for, and how they are fetched."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from folders import batches, folders, refused

from queen_ref.data.catalog import SOURCES
from queen_ref.data.datasets import dataset


@pytest.mark.parametrize("name", list(SOURCES))
def test_missing_data_is_one_line_with_place_and_remedy(home, name):
    text = refused(name)
    assert text.startswith(f"{name}: expected") and str(home) in text
    fetches = bool(SOURCES[name].fetched or SOURCES[name].md5)
    assert SOURCES[name].url in text and ("--download" in text) == fetches


def test_without_a_data_folder_the_line_names_the_variable(home, monkeypatch):
    monkeypatch.delenv("QUEEN_DATA")
    assert "QUEEN_DATA" in refused("cifar10")
    assert str(home / "no") in refused("cifar10", root=home / "no")


def test_nothing_is_downloaded_unless_asked(home, monkeypatch):
    asked = []
    monkeypatch.setattr("torchvision.datasets.CIFAR10.download", asked.append)
    assert "cifar10" in refused("cifar10")
    assert asked == [] and not any(home.iterdir())


def test_a_download_is_asked_of_torchvision_into_a_folder_that_it_makes(home, monkeypatch):
    made = home / "new"

    def download(self):
        batches(made, monkeypatch)

    monkeypatch.setattr("torchvision.datasets.CIFAR10.download", download)
    assert len(dataset("cifar10", root=made, download=True)[0]) == 50


@pytest.mark.parametrize("whole", [True, False])
def test_an_archive_is_unpacked_if_its_checksum_is_right(home, tmp_path, monkeypatch, whole):
    folders(tmp_path / "tiny-imagenet-200" / "train", 200, word="n{:08}/images")
    archive = Path(
        shutil.make_archive(str(tmp_path / "tiny"), "zip", tmp_path, "tiny-imagenet-200")
    )
    right = hashlib.md5(archive.read_bytes()).hexdigest()
    source = replace(
        SOURCES["tiny-imagenet"], url=archive.as_uri(), md5=right if whole else "0" * 32
    )
    monkeypatch.setitem(SOURCES, "tiny-imagenet", source)
    wire = "torchvision.datasets.utils"
    monkeypatch.setattr(f"{wire}._get_redirect_url", lambda url, max_hops: url)
    monkeypatch.setattr(f"{wire}._urlretrieve", lambda url, file: shutil.copy(archive, file))
    if whole:
        assert len(dataset("tiny-imagenet", download=True)[0]) == 200
        assert not list(home.glob("*.zip"))
    else:
        assert "corrupted" in refused("tiny-imagenet", download=True)


def test_what_is_there_is_not_downloaded(home, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.CIFAR10.download", lambda _: pytest.fail("it did"))
    folders(home / "cifar10/train", 10)
    assert len(dataset("cifar10", download=True)[0]) == 10


def test_a_download_that_fails_is_one_line(home, monkeypatch):
    def fail(self):
        raise OSError("no\nnetwork")

    monkeypatch.setattr("torchvision.datasets.Caltech256.download", fail)
    text = refused("caltech256", download=True)
    assert "no network" in text and SOURCES["caltech256"].url in text


def test_what_torchvision_cannot_fetch_says_where_to_get_it(home):
    assert SOURCES["cub200"].url in refused("cub200", download=True)
