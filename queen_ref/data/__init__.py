"""Images: what a profile works with, and the named data sets that lie on a disk."""

from queen_ref.data.datasets import dataset, dataset_uint8
from queen_ref.data.profiles import PROFILES, Data, gradient_step, load

__all__ = ["PROFILES", "Data", "dataset", "dataset_uint8", "gradient_step", "load"]
