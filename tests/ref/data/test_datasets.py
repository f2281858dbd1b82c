"""Data sets from small folders in the layout of each: what loads, what is refused, what is kept."""

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import queen_ref as qr
from queen_ref.cli import main
from queen_ref.data import decode as pixels
from queen_ref.data.catalog import SOURCES
from queen_ref.data.datasets import dataset, dataset_uint8, in_turns


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A data folder and a cache of the test's own."""
    monkeypatch.setenv("QUEEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("QUEEN_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a test used the network"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def picture(path: Path, shade: int = 128, size: tuple[int, int] = (32, 32), mode="RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = shade if mode == "L" else (shade, 0, 255 - shade)
    Image.new(mode, size, colour).save(path, "PNG" if path.suffix == ".png" else "JPEG")


def folders(base: Path, classes: int, each: int = 1, word: str = "c{:03}", suffix="jpg") -> None:
    for label in range(classes):
        for number in range(each):
            picture(base / word.format(label) / f"{number}.{suffix}", label % 256)


def batches(base: Path, monkeypatch, name: str = "cifar10") -> Path:
    """Tiny batches as CIFAR's authors pickle them, and their checksums in torchvision's place."""
    from torchvision.datasets import CIFAR10, CIFAR100

    kind, key = (CIFAR10, "labels") if name == "cifar10" else (CIFAR100, "fine_labels")
    folder, classes = base / kind.base_folder, SOURCES[name].classes
    folder.mkdir()

    def write(file: str, content: dict) -> list[str]:
        (folder / file).write_bytes(pickle.dumps(content))
        return [file, hashlib.md5((folder / file).read_bytes()).hexdigest()]

    def part(file: str) -> list[str]:
        rows = np.arange(classes)[:, None] * np.ones((1, 3072)) % 256
        return write(file, {"data": rows.astype(np.uint8), key: list(range(classes))})

    for lists in ("train_list", "test_list"):
        monkeypatch.setattr(kind, lists, [part(file) for file, _ in getattr(kind, lists)])
    names = {kind.meta["key"]: [str(n) for n in range(classes)]}
    meta = {**kind.meta, "md5": write(kind.meta["filename"], names)[1]}
    monkeypatch.setattr(kind, "meta", meta)
    return folder


def cub(base: Path, classes: int = 200) -> Path:
    """Two images a class, the first for training; the lists are numbered from 1."""
    folder, names = base / "CUB_200_2011", []
    for label in range(1, classes + 1):
        names += [f"{label:03}.Bird/Bird_{number}.jpg" for number in (1, 2)]
    for name in names:
        picture(folder / "images" / name, int(name[:3]), (20, 12))
    columns = {
        "images": names,
        "image_class_labels": [int(name[:3]) for name in names],
        "train_test_split": [int(name.endswith("_1.jpg")) for name in names],
    }
    for file, values in columns.items():
        lines = [f"{number} {value}\n" for number, value in enumerate(values, 1)]
        (folder / f"{file}.txt").write_text("".join(lines))
    return folder


def tiny(base: Path) -> Path:
    """One training image and one validation image for each of 200 classes, the latter reversed."""
    folder, lines = base / "tiny-imagenet-200", []
    for label in range(200):
        picture(folder / f"train/n{label:08}/images/n{label:08}_0.JPEG", label, (64, 64))
        picture(folder / f"val/images/val_{label}.JPEG", label, (64, 64))
        lines.append(f"val_{label}.JPEG\tn{199 - label:08}\t0\t32\t44\t62\n")
    (folder / "val/val_annotations.txt").write_text("".join(lines))
    return folder


def refused(*arguments, **options) -> str:
    with pytest.raises(ValueError) as caught:
        dataset(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Layouts -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar_as_folders(home, name, split):
    folders(home / name / split, SOURCES[name].classes)
    images, labels = dataset(name, split)
    assert images.shape == (SOURCES[name].classes, 3, 32, 32) and images.dtype == torch.float32
    assert labels.tolist() == list(range(SOURCES[name].classes)) and labels.dtype == torch.int64


@pytest.mark.parametrize(("name", "train"), [("cifar10", 50), ("cifar100", 100)])
def test_cifar_as_its_authors_give_it(home, monkeypatch, name, train):
    batches(home, monkeypatch, name)
    classes = SOURCES[name].classes
    for split, count in (("train", train), ("test", classes)):
        images, labels = dataset(name, split)
        assert images.shape == (count, 3, 32, 32)
        assert labels.tolist() == [*range(classes)] * (count // classes)
        assert torch.equal((images[:, 0, 0, 0] * 255).round().long(), labels)


def test_tiny_imagenet_and_the_class_numbers_of_its_validation_images(home):
    tiny(home)
    images, labels = dataset("tiny-imagenet")
    assert images.shape == (200, 3, 32, 32) and labels.tolist() == list(range(200))
    assert dataset("tiny-imagenet", "test")[1].tolist() == list(range(199, -1, -1))


def test_tiny_imagenet_without_validation_images_still_trains(home):
    shutil.rmtree(tiny(home) / "val")
    assert len(dataset("tiny-imagenet")[0]) == 200
    assert "val_annotations.txt" in refused("tiny-imagenet", "test")


def test_cub200_is_split_by_its_own_lists(home):
    cub(home)
    for split in ("train", "test"):
        images, labels = dataset("cub200", split)
        assert images.shape == (200, 3, 64, 64) and labels.tolist() == list(range(200))


@pytest.mark.parametrize("place", ["caltech256/256_ObjectCategories", "256_ObjectCategories"])
def test_caltech256_leaves_out_clutter_and_strays_and_splits_each_class(home, place):
    for label in range(1, 258):
        for number in range(5):
            name = f"{label:03}.thing/{label:03}_{number:04}.jpg"
            picture(home / place / name, label % 256, mode="L" if number else "RGB")
    (home / place / "198.thing/RENAME2").write_text("a stray script")
    for split, each in (("train", 4), ("test", 1)):
        images, labels = dataset("caltech256", split)
        assert images.shape == (256 * each, 3, 64, 64)
        assert np.bincount(labels).tolist() == [each] * 256


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


# Pixels --------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "shade"), [("RGB", 200), ("L", 70)])
def test_pixels_are_those_of_the_file_between_0_and_1(home, mode, shade):
    picture(home / "mine/a/0.png", shade, mode=mode)
    image = dataset(home / "mine")[0][0]
    colour = (shade,) * 3 if mode == "L" else (shade, 0, 255 - shade)
    torch.testing.assert_close(image[:, 3, 5], torch.tensor(colour) / 255)


def test_sixteen_bits_are_scaled_not_cut_off(home):
    (home / "mine/a").mkdir(parents=True)
    Image.fromarray(np.full((9, 9), 100 * 257, np.uint16)).save(home / "mine/a/0.png")
    assert dataset(home / "mine", as_uint8=True)[0].unique().tolist() == [100]


def test_a_long_picture_is_cut_at_both_ends_not_squeezed(home):
    whole = Image.new("RGB", (64, 32), (255, 0, 0))
    whole.paste((0, 0, 255), (16, 0, 48, 32))
    (home / "mine/a").mkdir(parents=True)
    whole.save(home / "mine/a/0.png")
    assert dataset(home / "mine")[0].mean((0, 2, 3)).tolist() == [0, 0, 1]


def test_the_size_is_an_argument_also_for_batches(home, monkeypatch):
    batches(home, monkeypatch)
    assert dataset("cifar10", size=48)[0].shape == (50, 3, 48, 48)


def test_bytes_are_a_quarter_of_the_memory_and_the_same_images(home):
    folders(home / "cifar10/train", 10)
    images, labels = dataset("cifar10")
    raw, same = dataset("cifar10", as_uint8=True)
    assert raw.dtype == torch.uint8 and torch.equal(raw.float() / 255, images)
    assert torch.equal(labels, same)


# What is refused -----------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SOURCES))
def test_missing_data_is_one_line_with_place_and_remedy(home, name):
    text = refused(name)
    assert text.startswith(f"{name}: expected") and str(home) in text
    assert SOURCES[name].url in text and ("--download" in text) == bool(SOURCES[name].fetched)


def test_without_a_data_folder_the_line_names_the_variable(home, monkeypatch):
    monkeypatch.delenv("QUEEN_DATA")
    assert "QUEEN_DATA" in refused("cifar10")
    assert str(home / "no") in refused("cifar10", root=home / "no")


def test_half_unpacked_batches_are_named(home, monkeypatch):
    folder = batches(home, monkeypatch)
    (folder / "data_batch_4").unlink()
    text = refused("cifar10")
    assert "data_batch_4" in text and str(folder) in text and "half unpacked" in text


def test_a_batch_that_is_cut_short_is_never_opened(home, monkeypatch):
    folder = batches(home, monkeypatch)
    os.truncate(folder / "data_batch_2", 100)
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("it was opened"))
    text = refused("cifar10")
    assert "data_batch_2" in text and str(folder) in text


@pytest.mark.parametrize(("classes", "found"), [(6, "found 6"), (100, "found 100")])
def test_half_a_cifar_and_another_data_set_are_refused(home, classes, found):
    folders(home / "cifar10/train", classes)
    text = refused("cifar10")
    assert "expected 10 classes" in text and found in text and str(home / "cifar10") in text


def test_an_unpacking_that_stopped_inside_the_last_class_is_noticed(home):
    folders(home / "cifar10/train", 10, each=2)
    (home / "cifar10/train/c009/1.jpg").unlink()
    assert "1 in one and 2 in another" in refused("cifar10")


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


@pytest.mark.parametrize("keep", [100, 4001])
def test_a_list_that_is_cut_short_is_refused(home, keep):
    path = cub(home) / "train_test_split.txt"
    path.write_text(path.read_text()[: min(keep, len(path.read_text()) - 2)])
    assert "cut short" in refused("cub200")


def test_a_list_of_other_classes_is_refused(home):
    path = tiny(home) / "val/val_annotations.txt"
    path.write_text(path.read_text().replace("n00000005", "n99999999"))
    assert "n99999999" in refused("tiny-imagenet", "test")


@pytest.mark.parametrize("content", ["cut", b"", b"<html>not found</html>", b"\xff\xd8\xff\xe0"])
def test_an_image_that_is_none_is_named(home, content):
    folders(home / "cifar10/train", 10)
    file = home / "cifar10/train/c004/0.jpg"
    file.write_bytes(file.read_bytes()[:-150] if content == "cut" else content)
    text = refused("cifar10")
    assert str(file) in text and "unpack" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cifar11",), "name: expected one of cifar10"),
        ((3,), "name: expected"),
        (("imagefolder:",), "name: expected"),
        (("cifar10", "val"), "split: expected"),
        (("cifar10", "test", 5), "root: expected"),
        (("cifar10", "test", None, 4), "size: expected"),
        (("cifar10", "test", None, 32, "yes"), "download: expected"),
        (("cifar10", "test", None, 32, False, 0), "limit: expected"),
        (("cifar10", "test", None, 32, False, True), "limit: expected"),
        (("imagefolder:/no/where",), "imagefolder: expected a folder /no/where"),
    ],
)
def test_wrong_arguments_are_refused(arguments, says):
    assert refused(*arguments).startswith(says)


# Downloads -----------------------------------------------------------------------------


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


# Limits --------------------------------------------------------------------------------


def test_a_limit_keeps_every_class_and_a_larger_one_adds_to_it(home):
    for label in range(10):
        for number in range(4):
            picture(home / f"cifar10/train/{label}/{number}.png", 20 * label + number)
    few, more = (dataset("cifar10", limit=limit) for limit in (10, 25))
    assert sorted(few[1].tolist()) == list(range(10))
    taken, larger = ({image.numpy().tobytes() for image in part[0]} for part in (few, more))
    assert len(taken) == 10 and taken <= larger
    assert np.bincount(more[1]).min() >= 2
    assert len(dataset("cifar10", limit=1000)[0]) == 40


def test_a_limit_decodes_no_more_than_it_needs(home, monkeypatch):
    folders(home / "cifar10/train", 10, each=4)
    opened = []
    once = pixels._open
    monkeypatch.setattr(pixels, "_open", lambda *args: opened.append(args) or once(*args))
    dataset("cifar10", limit=10)
    assert len(opened) == 10


def test_turns_are_shared_out_when_classes_differ_in_size():
    labels = np.repeat([0, 1, 2], [1, 50, 3])
    assert np.bincount(labels[in_turns(labels, 12)]).tolist() == [1, 8, 3]


# The cache -----------------------------------------------------------------------------


@pytest.fixture
def decoded(home, monkeypatch):
    """A data set that is in the cache, and the number of images decoded since."""
    folders(home / "cifar10/train", 10)
    dataset("cifar10")
    opened = []
    once = pixels._open
    monkeypatch.setattr(pixels, "_open", lambda *args: opened.append(args) or once(*args))
    return opened


def entry(home) -> Path:
    (path,) = (home.parent / "cache").glob("cifar10-train-32-????????????????????.npy")
    return path


def test_the_second_time_nothing_is_decoded_and_the_array_is_mapped(decoded):
    array, labels = dataset_uint8("cifar10")
    assert not decoded and isinstance(array, np.memmap) and not array.flags.writeable
    assert array.shape == (10, 32, 32, 3) and labels.tolist() == list(range(10))


def test_batches_are_read_once_and_then_need_no_torchvision(home, monkeypatch):
    batches(home, monkeypatch)
    first = dataset("cifar10")
    code = "import sys, queen_ref; queen_ref.data.dataset('cifar10')\n"
    code += "print('torchvision' in sys.modules, 'PIL' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["False", "False"], result.stderr
    assert torch.equal(dataset("cifar10")[0], first[0])


@pytest.mark.parametrize("damage", ["short", "empty", "long", "text", "labels", "no labels"])
def test_a_damaged_entry_is_made_again(home, decoded, capsys, damage):
    path = entry(home)
    labels = path.with_suffix(".labels.npy")
    content = path.read_bytes()
    if damage == "no labels":
        labels.unlink()
    elif damage == "labels":
        labels.write_bytes(labels.read_bytes()[:-8])
    else:
        path.write_bytes({"short": content[:-1], "empty": b"", "long": content + b"x",
                          "text": b"my notes"}[damage])  # fmt: skip
    assert len(dataset("cifar10")[0]) == len(decoded) == 10
    assert ("damaged" in capsys.readouterr().err) == (damage != "no labels")
    assert path.read_bytes() == content


def test_an_entry_with_pickled_objects_is_not_opened(home, decoded):
    np.save(entry(home), np.array([{"code": print}], object), allow_pickle=True)
    assert len(dataset("cifar10")[0]) == len(decoded) == 10


@pytest.mark.parametrize("change", ["time", "content", "name", "more"])
def test_a_folder_that_changed_is_decoded_again(home, decoded, change):
    file = home / "cifar10/train/c003/0.jpg"
    if change == "time":
        os.utime(file, ns=(1, 1))
    elif change == "content":
        picture(file, 250)
    elif change == "name":
        file.rename(file.with_name("z.jpg"))
    else:
        folders(home / "cifar10/train", 10, each=2)
    dataset("cifar10")
    assert len(decoded) == (20 if change == "more" else 10)


def test_a_copy_of_the_folder_uses_the_same_entry(home, decoded):
    shutil.copytree(home, home.parent / "copy")
    assert len(dataset("cifar10", root=home.parent / "copy")[0]) == 10 and not decoded


def test_where_the_cache_cannot_be_written_images_load_and_one_line_says_so(
    home, monkeypatch, capsys
):
    (home / "file").touch()
    monkeypatch.setenv("QUEEN_CACHE", str(home / "file" / "cache"))
    folders(home / "cifar10/train", 10)
    for _ in range(2):
        assert len(dataset("cifar10")[0]) == 10
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(home / "file") in said


def test_a_full_disk_leaves_no_half_entry(home, monkeypatch, capsys):
    folders(home / "cifar10/train", 10)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert len(dataset("cifar10")[0]) == 10
    assert "No space left" in capsys.readouterr().err
    assert [p.suffix for p in (home.parent / "cache").iterdir()] == [".lock"]


def test_what_a_killed_process_left_is_not_taken_for_whole(home):
    folders(home / "cifar10/train", 10)
    code = "import os, queen_ref.data.decode as p; from queen_ref.data.datasets import dataset\n"
    code += "os.fsync = lambda _: os.kill(os.getpid(), 9)\ndataset('cifar10')"
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert len(dataset("cifar10")[0]) == 10 and entry(home)


def test_two_processes_at_once_decode_once(home):
    folders(home / "cifar10/train", 10)
    code = "import queen_ref.data.decode as p, time, queen_ref.data.datasets as d\nonce = p._open\n"
    code += "p._open = lambda *a: print('opened', flush=True) or time.sleep(0.1) or once(*a)\n"
    code += "print('ready', flush=True); input()\nprint(len(d.dataset('cifar10')[0]))"
    command = [sys.executable, "-c", code]
    both = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True) for _ in "ab"]
    # Neither begins before both have started, which takes one of them how long it will.
    assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    words = [process.communicate()[0].split() for process in both]
    assert sorted(map(len, words)) == [1, 11] and all(said[-1] == "10" for said in words)


# Profiles and the command --------------------------------------------------------------


@pytest.mark.parametrize("profile", ["smoke", "cpu"])
def test_a_limit_cuts_every_part_of_a_profile_and_keeps_the_classes(profile):
    data = qr.data.load(profile, seed=1, limit=20)
    parts = [data.train[0], data.test[0], *data.pools.values()]
    assert {len(part) for part in parts} == {20}
    for labels in (data.train[1], data.test[1], *data.pool_labels.values()):
        assert sorted(labels.unique().tolist()) == list(range(10)) and len(labels) == 20


def test_the_profile_gpu_reads_both_sets_and_a_limit_cuts_them(home):
    folders(home / "cifar10/train", 10, each=3)
    folders(home / "cifar10/test", 10, each=2)
    tiny(home)
    data = qr.data.load("gpu", limit=25)
    assert len(data.train[0]) == 25 and len(data.test[0]) == 20 and data.num_classes == 10
    assert {name: len(pool) for name, pool in data.pools.items()} == {
        "tiny-imagenet": 25,
        "noise": 25,
    }
    assert repr(data).count("\n") == 0 and "train 25" in repr(data)


@pytest.mark.parametrize(
    "options",
    [
        {"profile": 0, "seed": "cpu"},
        {"profile": ["cpu"]},
        {"profile": None},
        {"seed": "0"},
        {"seed": 1.5},
        {"seed": 2**70},
        {"limit": 0},
        {"limit": "10"},
        {"limit": True},
        {"profile": "gpu", "root": 5},
        {"profile": "gpu", "download": "no"},
    ],
)
def test_wrong_arguments_of_a_profile_are_value_errors(options):
    with pytest.raises(ValueError, match="expected"):
        qr.data.load(**options)


def test_the_command_prepares_and_prints_a_line_each(home, capsys):
    folders(home / "cifar10/train", 10, each=2)
    folders(home / "cifar10/test", 10)
    folders(home / "mine", 3)
    mine = f"imagefolder:{home / 'mine'}"
    assert main(["data", "cifar10", mine, "--limit", "15"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("cifar10 train: 15 images of 32x32, 10 classes, ")
    assert lines[1].startswith("cifar10 test: 10 images of 32x32, 10 classes, ")
    assert lines[2].startswith(f"{mine} train: 3 images of 32x32, 3 classes, ")
    assert lines[3:] == [f"{mine} test: not there"]
    assert all(Path(line.split(" in ")[-1]).is_file() for line in lines[:3])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("cifar11", "got 'cifar11'"),
        ("cifar10", "--download"),
        ("cub200 --download", "torchvision cannot fetch it"),
        ("cifar10 --data-root /no/where", "/no/where"),
        ("cifar10 --size 4", "size: expected"),
        ("cifar10 --limit none", "'--limit'"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(capsys, words, says):
    assert main(["data", *words.split()]) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and said.out == ""
