"""Files of a folder: their order, their classes, and which are missing."""

import pytest
from folders import cub, folders, picture, refused

from queen_ref.data.datasets import dataset


def test_a_folder_of_images_is_numbered_as_torchvision_does(home):
    from torchvision.datasets import ImageFolder

    for name in ("b/2.png", "b/10.png", "a/x.jpg", "a/deep/y.jpeg", "C/z.PNG"):
        picture(home / "mine" / name, size=(10, 10))
    theirs = ImageFolder(home / "mine").samples
    for name in (f"imagefolder:{home / 'mine'}", str(home / "mine"), home / "mine"):
        images, labels = dataset(name)
        assert images.shape == (5, 3, 32, 32) and labels.tolist() == [y for _, y in theirs]


def test_a_folder_in_two_halves_has_both_and_another_has_no_test_images(home):
    folders(home / "mine/train", 2, 3)
    folders(home / "mine/test", 2, 1)
    assert len(dataset(home / "mine", "train")[0]) == 6
    assert len(dataset(home / "mine", "test")[0]) == 2
    assert "test/" in refused(home / "mine/train", "test")


def test_an_empty_class_is_refused(home):
    folders(home / "mine", 2)
    (home / "mine/d").mkdir()
    assert str(home / "mine/d") in refused(home / "mine")
    assert "found none" in refused(home / "mine/d")


def test_a_split_that_is_not_there_is_refused(home):
    folders(home / "cifar10/train", 10)
    assert str(home / "cifar10/test") in refused("cifar10", "test")


def test_an_image_that_a_list_names_must_be_there(home):
    folder = cub(home)
    (folder / "images/007.Bird/Bird_1.jpg").unlink()
    assert "007.Bird/Bird_1.jpg" in refused("cub200")


# Names and links -------------------------------------------------------------------------


def test_two_spellings_of_one_name_are_refused(home):
    for word in ("caf\u00e9", "cafe\u0301"):
        picture(home / "mine" / word / "0.png")
    assert "one spelling of a class" in refused(home / "mine")


@pytest.mark.parametrize("other", ["Caf\u00e9", "cafe\u0301", "CAFE\u0301"])
def test_a_class_that_the_other_half_spells_otherwise_is_refused(home, other):
    picture(home / "mine/train" / "caf\u00e9" / "0.png")
    picture(home / "mine/test" / other / "0.png")
    assert "one spelling of a class" in refused(home / "mine", "test")


def test_capital_and_small_letters_are_two_classes(home):
    for half in ("train", "test"):
        for word in "aA":
            picture(home / "mine" / half / word / "0.png")
    assert dataset(home / "mine", "test")[1].tolist() == [0, 1]


@pytest.mark.parametrize("name", ["owl.png", "owl.JPG"])
def test_an_image_where_a_class_is_expected_is_refused(home, name):
    folders(home / "mine", 2)
    (home / "mine" / name).write_bytes((home / "mine/c000/0.jpg").read_bytes())
    assert f"{name} beside them" in refused(home / "mine")


def test_notes_beside_the_classes_are_no_images(home):
    folders(home / "mine", 2)
    (home / "mine/README.txt").write_text("birds")
    assert len(dataset(home / "mine")[0]) == 2


@pytest.mark.parametrize(
    ("link", "target"), [("c000/again", "."), ("c000/up", ".."), ("c000/b", "../c001")]
)
def test_links_that_lead_back_are_refused(home, link, target):
    folders(home / "mine", 2)
    (home / "mine/c001/a").symlink_to("../c000")
    (home / "mine" / link).symlink_to(target)
    assert "leads back into itself" in refused(home / "mine")


@pytest.mark.parametrize(("link", "target"), [("c002", "gone"), ("c000/1.jpg", "1.jpg")])
def test_a_link_to_nothing_is_no_missing_image(home, link, target):
    folders(home / "mine", 2)
    (home / "mine" / link).symlink_to(target)
    assert f"{link}, a link to nothing" in refused(home / "mine")


def test_links_to_classes_and_images_are_followed(home):
    folders(home / "real", 2)
    folders(home / "mine", 1)
    (home / "mine/c001").symlink_to(home / "real/c001")
    (home / "mine/c000/1.jpg").symlink_to(home / "real/c000/0.jpg")
    assert dataset(home / "mine")[1].tolist() == [0, 0, 1]
