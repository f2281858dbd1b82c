"""Images: what a profile works with, and the named data sets that lie on a disk.

The chapters and the arena use a profile's data, `load`. Everything else, CIFAR-100, CUB-200,
Caltech-256 or a folder of images, comes from `dataset`, for a victim or a pool of your own;
`queen-ref data NAME` prepares it. A victim that begins from ImageNet's weights gets them from
`queen_ref.models.pretrained.load_pretrained`.
"""

from queen_ref.data.datasets import dataset, dataset_uint8
from queen_ref.data.profiles import PROFILES, Data, digits, gradient_step, load, mnist5k, noise

__all__ = [
    "PROFILES",
    "Data",
    "dataset",
    "dataset_uint8",
    "digits",
    "gradient_step",
    "load",
    "mnist5k",
    "noise",
]
