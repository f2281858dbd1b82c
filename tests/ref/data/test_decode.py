"""Pixels as they are in the files, decoded once and kept."""

import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from folders import batches, folders, picture, refused
from PIL import Image

from queen_ref.data import decode as pixels
from queen_ref.data.datasets import dataset, dataset_uint8


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


def saved(home, image: Image.Image, name: str = "0.png", **options) -> Path:
    """The image as the only one of a folder."""
    (home / "mine/a").mkdir(parents=True)
    image.save(home / "mine/a" / name, **options)
    return home / "mine"


def ink(mode: str) -> tuple[Image.Image, dict]:
    """Black ink in the middle of what is clear, and how to save it."""
    image = Image.new("L", (9, 9), 255)
    image.paste(0, (3, 3, 6, 6))
    if mode in ("RGBA", "LA"):
        clear = Image.new(mode, (9, 9), (0,) * len(mode))
        clear.putalpha(Image.eval(image, lambda shade: 255 - shade))
        return clear, {}
    return image.convert(mode), {"transparency": (255,) * 3 if mode == "RGB" else 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_what_is_clear_is_white_paper(home, mode):
    image, options = ink(mode)
    pixels = dataset(saved(home, image, **options), size=9)[0][0]
    assert pixels[:, 4, 4].tolist() == [0] * 3 and pixels[:, 0, 0].tolist() == [1] * 3


def test_what_is_half_clear_is_mixed_with_white(home):
    image = Image.new("RGBA", (9, 9), (255, 0, 0, 51))
    assert dataset(saved(home, image), as_uint8=True)[0][0, :, 0, 0].tolist() == [255, 204, 204]


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "16 bit RGB"])
def test_other_modes_keep_their_colours(home, mode):
    if mode == "16 bit RGB":
        (home / "mine/a").mkdir(parents=True)
        rows = b"".join(b"\0" + bytes([200, 7, 100, 7, 0, 7]) * 9 for _ in range(9))
        (home / "mine/a/0.png").write_bytes(png(9, 9, 16, 2, rows))
    else:
        colour = (255, 255, 255) if mode == "1" else (200, 100, 0)
        image = Image.new("RGB", (9, 9), colour)
        image = image.quantize(4) if mode == "P" else image.convert(mode)
        saved(home, image, "0.jpg" if mode == "CMYK" else "0.png")
    found = dataset(home / "mine", as_uint8=True)[0][0, :, 4, 4]
    wanted = (255, 255, 255) if mode == "1" else (200, 100, 0)
    assert (found.int() - torch.tensor(wanted)).abs().max() <= 3  # a JPEG rounds


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    """A PNG file, for what Pillow reads and does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        total = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", total)

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_floats_between_0_and_1_are_scaled(home):
    image = Image.fromarray(np.full((9, 9), 0.5, np.float32))
    assert dataset(saved(home, image, "0.tiff"), as_uint8=True)[0].unique().tolist() == [128]


@pytest.mark.parametrize(
    "numbers",
    [
        np.full((9, 9), 128, np.float32),
        np.full((9, 9), -0.5, np.float32),
        np.full((9, 9), np.nan, np.float32),
        np.full((9, 9), 128, np.int32),
    ],
    ids=["255", "negative", "nan", "32 bits"],
)
def test_numbers_whose_white_nobody_knows_are_refused(home, numbers):
    assert "0.tiff" in refused(saved(home, Image.fromarray(numbers), "0.tiff"))


@pytest.mark.parametrize("name", ["0.jpg", "0.png"])
def test_a_picture_stands_upright(home, name):
    image = Image.new("RGB", (32, 32), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 16, 32))  # the left half is dark
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right: the left half is the upper one
    found = dataset(saved(home, image, name, exif=exif))[0][0].mean(0)
    assert float(found[:14].max()) < 0.1 and float(found[18:].min()) > 0.9


def test_a_long_picture_is_cut_at_both_ends_not_squeezed(home):
    whole = Image.new("RGB", (64, 32), (255, 0, 0))
    whole.paste((0, 0, 255), (16, 0, 48, 32))
    (home / "mine/a").mkdir(parents=True)
    whole.save(home / "mine/a/0.png")
    assert dataset(home / "mine")[0].mean((0, 2, 3)).tolist() == [0, 0, 1]


@pytest.mark.parametrize("content", ["cut", b"", b"<html>not found</html>", b"\xff\xd8\xff\xe0"])
def test_an_image_that_is_none_is_named(home, content):
    folders(home / "cifar10/train", 10)
    file = home / "cifar10/train/c004/0.jpg"
    file.write_bytes(file.read_bytes()[:-150] if content == "cut" else content)
    text = refused("cifar10")
    assert str(file) in text and "unpack" in text


def test_a_limit_decodes_no_more_than_it_needs(home, monkeypatch):
    folders(home / "cifar10/train", 10, each=4)
    opened = []
    once = pixels._open
    monkeypatch.setattr(pixels, "_open", lambda *args: opened.append(args) or once(*args))
    dataset("cifar10", limit=10)
    assert len(opened) == 10


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
