"""A classifier in two pieces: a body that gives features, and one linear layer as its head."""

from torch import Tensor, nn


class Classifier(nn.Module):
    """f(x) = head(features(x)), with x in [0, 1].

    Arguments: `body` maps normalised images (B, C, H, W) to features (B, D); `head` maps
    features to logits (B, K); `mean` and `std` normalise every channel alike.

    >>> model = qr.models.small_cnn((1, 28, 28), num_classes=10)
    >>> model.features(torch.rand(2, 1, 28, 28)).shape, model(torch.rand(2, 1, 28, 28)).shape
    (torch.Size([2, 128]), torch.Size([2, 10]))
    """

    def __init__(self, body: nn.Module, head: nn.Linear, mean: float = 0.5, std: float = 0.25):
        super().__init__()
        self.body, self.head = body, head
        self.mean, self.std = mean, std

    @property
    def num_classes(self) -> int:
        return self.head.out_features

    @property
    def feature_dim(self) -> int:
        return self.head.in_features

    def features(self, images: Tensor) -> Tensor:
        """phi(x): images (B, C, H, W) in [0, 1] -> features (B, D)."""
        return self.body((images - self.mean) / self.std)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] -> logits (B, K)."""
        return self.head(self.features(images))


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride).

    >>> convolution(1, 5, stride=2)(torch.rand(2, 1, 8, 8)).shape
    torch.Size([2, 5, 4, 4])
    """
    layer = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())
