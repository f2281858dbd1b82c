"""Networks for small photographs that a laptop trains in minutes: three blocks, and ResNet-8.

Both are for images of about 32 pixels and take any from 8x8 up. A ResNet-18 costs twenty times as
much an image.
"""

from torch import Tensor, nn

from queen_ref.models.classifier import Classifier, convolution
from queen_ref.models.victim import Shape, check_shape

FEATURES = 128  # of the three blocks, whatever their width


def cnn3(shape: Shape, num_classes: int, width: int = 32) -> Classifier:
    """Four convolutions in three blocks, w, 2w, 2w and 4w channels, and a layer of 128 features.

    Arguments: `width`, w. "cnn3_w32" is a victim; "cnn3_w16" costs a third of it, a thief's copy.

    >>> cnn3((3, 32, 32), num_classes=10).feature_dim
    128
    """
    channels, height, wide = check_shape(shape)
    body = nn.Sequential(
        convolution(channels, width),
        nn.MaxPool2d(2),
        convolution(width, 2 * width),
        convolution(2 * width, 2 * width),
        nn.MaxPool2d(2),
        convolution(2 * width, 4 * width),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * width * (height // 8) * (wide // 8), FEATURES),
        nn.ReLU(),
    )
    return Classifier(body, nn.Linear(FEATURES, num_classes))


class Residual(nn.Module):
    """relu(x + F(x)), F two convolutions; where the shape changes x goes through a 1x1 convolution.

    >>> Residual(5, 9, stride=2)(torch.rand(2, 5, 8, 8)).shape
    torch.Size([2, 9, 4, 4])
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.first = convolution(inputs, outputs, stride)
        second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second = nn.Sequential(second, nn.BatchNorm2d(outputs))
        self.short: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            short = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.short = nn.Sequential(short, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return (self.short(x) + self.second(self.first(x))).relu()


def resnet8(shape: Shape, num_classes: int) -> Classifier:
    """ResNet-8, the network of MLPerf Tiny's image classification: 78 000 weights, D = 64.

    >>> model = resnet8((3, 32, 32), num_classes=10)
    >>> model.feature_dim, sum(weight.numel() for weight in model.parameters())
    (64, 78042)
    """
    channels, _, _ = check_shape(shape)
    body = nn.Sequential(
        convolution(channels, 16),
        Residual(16, 16),
        Residual(16, 32, stride=2),
        Residual(32, 64, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    return Classifier(body, nn.Linear(64, num_classes))
