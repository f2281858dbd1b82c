"""Data sets by name: where they are looked for, and how they are fetched."""

import pytest
from folders import batches, folders, refused

from queen_ref.data.catalog import SOURCES
from queen_ref.data.datasets import dataset


@pytest.mark.parametrize("name", list(SOURCES))
def test_missing_data_is_one_line_with_place_and_remedy(home, name):
    text = refused(name)
    assert text.startswith(f"{name}: expected") and str(home) in text
    assert SOURCES[name].url in text and ("--download" in text) == bool(SOURCES[name].fetched)


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
