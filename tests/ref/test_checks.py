"""The checks at the door."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import queen_ref as qr
from queen_ref.checks import (
    are_probabilities,
    check_images,
    check_labels,
    check_number,
    check_probabilities,
)


@given(classes=st.integers(2, 1000), dtype=st.sampled_from([torch.float16, torch.float32]))
@settings(max_examples=20)
def test_a_softmax_of_any_width_counts_as_probabilities(classes, dtype):
    check_probabilities("probs", torch.randn(3, classes).softmax(1).to(dtype))


@pytest.mark.parametrize(
    "images",
    [
        torch.full((2, 1, 8, 8), 255.0),  # of 255
        torch.full((2, 1, 8, 8), -1.0),  # from -1 to 1
        torch.full((2, 1, 8, 8), 1.01),  # a resampling that was not clipped
        (torch.rand(2, 3, 8, 8) - 0.45) / 0.2,  # normalised for ImageNet
        torch.full((2, 1, 8, 8), -0.5, dtype=torch.float16),
    ],
)
def test_pixels_outside_0_and_1_are_refused_with_the_range(images):
    with pytest.raises(ValueError, match=r"images: expected .* in \[0, 1\].*, got values from"):
        check_images(images)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_one_pixel_that_is_no_number_is_found(value, dtype):
    images = torch.rand(3, 1, 8, 8).to(dtype)
    check_images(images)
    images[1, 0, 3, 3] = value
    with pytest.raises(ValueError, match="images: expected finite numbers"):
        check_images(images)


def test_a_rounding_beyond_0_and_1_passes():
    check_images(torch.tensor([-5e-4, 1.0005]).repeat(32).reshape(1, 1, 8, 8))


def test_images_that_need_a_gradient_pass():
    check_images(torch.rand(2, 1, 8, 8, requires_grad=True))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.uint16])
def test_labels_are_integers_of_any_kind(dtype):
    check_labels(torch.tensor([0, 3, 2]).to(dtype), 3, num_classes=4)
    with pytest.raises(ValueError, match="from 0 to 3"):
        check_labels(torch.tensor([0, 3, 2]).to(dtype), 3, num_classes=3)


@pytest.mark.parametrize("value", [np.int64(3), np.int32(3), np.uint8(3)])
def test_numpys_integers_are_integers(value):
    check_number("epochs", value, low=1, high=3, integer=True)


@pytest.mark.parametrize("value", [np.float64(3), 3.0, np.bool_(True), True, torch.tensor(3), "3"])
def test_what_is_no_integer_is_refused(value):
    with pytest.raises(ValueError, match="epochs: expected an integer"):
        check_number("epochs", value, low=1, integer=True)


def test_numpys_numbers_become_pythons_in_settings():
    config = qr.QueenConfig(map_epochs=np.int64(2), spacing=np.float32(0.5))
    assert json.dumps(dataclasses.asdict(config)) == json.dumps(
        dataclasses.asdict(qr.QueenConfig(map_epochs=2, spacing=0.5))
    )


def test_probabilities_are_told_from_logits():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    assert are_probabilities(logits.softmax(1)) and are_probabilities(logits.softmax(1).half())
    assert not are_probabilities(logits) and not are_probabilities(logits.log_softmax(1))
    assert not are_probabilities(logits.sigmoid()) and not are_probabilities(torch.zeros(5, 4))
