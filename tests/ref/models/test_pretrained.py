"""Weights from torchvision's networks go into ours."""

import shutil

import pytest
import torch
from torchvision import models as theirs

from queen_ref.models import build
from queen_ref.models.pretrained import Pretrained, load_pretrained


@pytest.mark.parametrize(
    ("name", "shape", "stem"),
    [("vgg11_bn", (3, 32, 32), []), ("resnet18", (3, 32, 32), ["conv1.weight"])],
)
def test_everything_but_head_and_stem_is_taken_over(tmp_path, name, shape, stem):
    net = getattr(theirs, name)(weights=None)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    model = build(name, shape, 10)
    assert load_pretrained(model, tmp_path / "net.pth") == stem
    last = "layer4.1.conv2.weight" if "resnet" in name else "features.25.weight"
    mine = model.body.state_dict()[last.removeprefix("features.")]
    assert torch.equal(mine, net.state_dict()[last])


def test_a_vgg_with_these_weights_has_torchvisions_features(tmp_path):
    net = theirs.vgg11_bn(weights=None).eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    model = build("vgg11_bn", (3, 32, 32), 10)
    load_pretrained(model, tmp_path / "net.pth")
    images = torch.rand(2, 3, 32, 32)
    expected = net.features((images - model.mean) / model.std).mean((2, 3))
    torch.testing.assert_close(model.eval().features(images), expected)


def test_other_networks_and_damaged_files_are_refused_and_change_nothing(tmp_path):
    model = build("vgg11_bn", (3, 32, 32), 10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.save(theirs.resnet18(weights=None).state_dict(), tmp_path / "other.pth")
    (tmp_path / "noise.pth").write_bytes(b"not weights")
    for name in ("other.pth", "noise.pth", "missing.pth"):
        with pytest.raises(ValueError, match="weights: expected"):
            load_pretrained(model, tmp_path / name)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_builder_begins_with_the_file_and_is_known_by_its_content(tmp_path):
    paths = [tmp_path / name for name in ("one.pth", "same.pth", "other.pth")]
    for path, seed in ((paths[0], 0), (paths[2], 1)):
        torch.save(build("small_cnn", (1, 8, 8), 4, seed).body.state_dict(), path)
    shutil.copy(paths[0], paths[1])
    one, same, other = (Pretrained("small_cnn", path) for path in paths)
    weights = one((1, 8, 8), 3, seed=5).body[0][0].weight
    assert torch.equal(weights, build("small_cnn", (1, 8, 8), 4, 0).body[0][0].weight)
    assert one.digest == same.digest != other.digest


@pytest.mark.parametrize(
    ("words", "says"),
    [(("small_cn", "net.pth"), "model: expected"), (("small_cnn", "no.pth"), "weights: expected")],
)
def test_a_builder_without_its_network_or_its_file_is_refused_at_once(words, says):
    with pytest.raises(ValueError, match=says):
        Pretrained(*words)
