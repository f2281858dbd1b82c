"""A classifier: what it normalises, and what it says of itself."""

import torch
from torch import nn

from queen_ref.models import Classifier
from queen_ref.models.classifier import convolution


def test_it_is_its_head_after_its_body_on_normalised_images():
    model = Classifier(nn.Flatten(), nn.Linear(64, 3), mean=0.2, std=0.5)
    images = torch.rand(4, 1, 8, 8)
    assert (model.num_classes, model.feature_dim) == (3, 64)
    assert torch.equal(model.features(images), ((images - 0.2) / 0.5).flatten(1))
    assert torch.equal(model(images), model.head(model.features(images)))


def test_a_convolution_has_no_bias_that_batch_norm_would_take_away():
    layer = convolution(3, 5, stride=2)
    assert layer[0].bias is None
    assert layer(torch.rand(2, 3, 9, 8)).shape == (2, 5, 5, 4)
