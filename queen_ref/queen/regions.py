"""The sensitive regions and the rules of recording in them: the same for every client.

A client has a history; where the discs lie, how large they are and how far apart points must be
is the defence's. A hundred thousand ledgers share one `Regions`.
"""

import torch
from torch import Tensor

from queen_ref.checks import check_choice, check_floats, check_number
from queen_ref.queen.point_grid import Cells, PointGrid


class Regions:
    """Discs of radius s_k = beta * rho_k around c_k, and the settings of the ledgers over them.

    Arguments and errors: as for `SensitivityLedger`.

    >>> regions = Regions(centers, radii, spacing=0.1, beta=2.0)
    >>> regions.sensitive.shape, regions.spacing.shape
    (torch.Size([10]), torch.Size([10]))
    """

    def __init__(
        self,
        centers: Tensor,
        radii: Tensor,
        spacing: float = 0.1,
        threshold: float = 0.2,
        alpha: float = 1.0,
        beta: float = 1.0,
        units: str = "relative",
    ):
        check_floats("centers", centers)
        check_floats("radii", radii)
        if centers.ndim != 2 or centers.shape[1] != 2 or len(centers) == 0:
            raise ValueError(f"centers: expected shape (K, 2), got {tuple(centers.shape)}")
        if radii.shape != (len(centers),) or bool((radii < 0).any()):
            raise ValueError(f"radii: expected {len(centers)} non-negative mean distances")
        check_number("spacing", spacing, low=0, above=True)
        check_number("threshold", threshold, low=0)
        check_number("alpha", alpha, low=0, above=True)
        check_number("beta", beta, low=0, above=True)
        check_choice("units", units, ("relative", "absolute"))
        self.centers = centers.detach().double()
        self.sensitive = beta * radii.detach().to(centers.device).double()  # s_k (K,)
        relative = units == "relative"
        self.spacing = (
            self.sensitive * spacing if relative else torch.full_like(self.sensitive, spacing)
        )  # r of each class, as a length (K,)
        self.threshold, self.alpha = threshold, alpha
        self.settings = dict(
            spacing=spacing, threshold=threshold, alpha=alpha, beta=beta, units=units
        )
        self.no_points = PointGrid(Cells(self.centers, self.sensitive, self.spacing))

    @property
    def capacity(self) -> Tensor:
        """The most points a class can ever record, 1 + 4 threshold (s_k / r)^2, as (K,).

        Each recorded point adds at least (1/2)^2 (r / s_k)^2 to CQS_k, and none is recorded
        above the threshold.
        """
        shares = (self.sensitive / self.spacing).nan_to_num(0.0) ** 2
        return torch.where(self.sensitive > 0, 1 + 4 * self.threshold * shares, 0.0)
