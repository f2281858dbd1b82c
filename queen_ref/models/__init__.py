"""Classifiers as QUEEN needs them: a feature extractor and a head, in two pieces.

The head maps the penultimate features to logits. It is one linear layer in every model
here, so logits along a straight line of features are themselves a straight line. The
feature walk of `queen_ref.queen.perturbation` lives on that.

Images come in [0, 1]. Normalisation is the model's own business and happens inside.
"""

from queen_ref.models.classifier import Classifier
from queen_ref.models.compact import cnn3, resnet8
from queen_ref.models.networks import (
    BUILDERS,
    Builder,
    build,
    register,
    resnet18,
    resnet50,
    small_cnn,
    vgg11_bn,
    vgg16_bn,
)
from queen_ref.models.pretrained import Pretrained, load_pretrained
from queen_ref.models.victim import (
    Model,
    Shape,
    Victim,
    check_answer,
    check_shape,
    check_victim,
    device_of,
    dtype_of,
    is_matrix,
    log_probabilities,
    probabilities,
    shape_of,
    try_victim,
)
from queen_ref.models.wrapping import wrap

__all__ = [
    "BUILDERS",
    "Builder",
    "Classifier",
    "Model",
    "Pretrained",
    "Shape",
    "Victim",
    "build",
    "check_answer",
    "check_shape",
    "check_victim",
    "cnn3",
    "device_of",
    "dtype_of",
    "is_matrix",
    "load_pretrained",
    "log_probabilities",
    "probabilities",
    "register",
    "resnet18",
    "resnet50",
    "resnet8",
    "shape_of",
    "small_cnn",
    "try_victim",
    "vgg11_bn",
    "vgg16_bn",
    "wrap",
]
