"""Files of a folder: their order, their classes, and which are missing."""

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
