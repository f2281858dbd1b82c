"""Times as ratios within one run.

Two tasks are timed in turn, so that a slow moment of the machine slows both; what is kept is
the ratio of each pair. Milliseconds of another machine would tell a reader nothing.
"""

import datetime
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

import queen_ref as qr

QUARTILES = (0.25, 0.5, 0.75)


@dataclass
class Record:
    """The rows of a run: each is printed when it is known, and saved at the end.

    >>> record = Record()
    >>> record.add("scaling", "batch 16, walk", "bare forward", ratio(run, base, rounds=5))
    """

    rows: list[dict] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=lambda: machine())
    begin: float = field(default_factory=time.perf_counter)

    def part(self, title: str) -> None:
        print(f"\n{title}", flush=True)

    def add(
        self, part: str, what: str, base: str, values: list[float], target: float | None = None,
        at_least: bool = False, **more,
    ) -> None:  # fmt: skip
        """One ratio `what` / `base` with its quartiles; `more` is saved with it."""
        low, median, high = (float(value) for value in np.quantile(values, QUARTILES))
        goal = "" if target is None else f"   target at {'least' if at_least else 'most'} {target}"
        print(
            f"  {what:34s} {median:9.2f} x {base:15s} (quartiles {low:.2f} to {high:.2f}){goal}",
            flush=True,
        )
        row = dict(part=part, what=what, base=base, median=median, low=low, high=high)
        if target is not None:
            row.update(target=target, at_least=at_least)
        self.rows.append({**row, **more})

    def result(self, quick: bool) -> dict:
        return {
            "program": "benchmarks/all.py",
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "quick": quick,
            "machine": self.machine,
            "seconds": round(time.perf_counter() - self.begin),
            "rows": self.rows,
        }


def machine() -> dict[str, str]:
    """What ran it; nothing here names the machine itself."""
    return {
        "processor": f"{processor()}, {torch.get_num_threads()} threads",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "queen_ref": qr.__version__,
    }


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(x.split(":")[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def seconds(task: Callable) -> float:
    start = time.perf_counter()
    task()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.no_grad()
def ratio(run: Callable, base: Callable, rounds: int) -> list[float]:
    """Time both in turn, `rounds` times; the ratio of each pair."""
    pairs = []
    for number in range(rounds + 2):
        if number % 2:
            ours = seconds(run)
            theirs = seconds(base)
        else:
            theirs = seconds(base)
            ours = seconds(run)
        pairs.append(ours / theirs)
    return pairs[2:]  # the first rounds warm up


def pictures(shape: tuple, count: int = 1024) -> torch.Tensor:
    """Digits in the victim's shape, with a little noise so that no two are alike."""
    digits = qr.data.digits(shape[1])[0]
    images = digits[torch.arange(count) % len(digits)].expand(-1, shape[0], -1, -1)
    return (0.9 * images + 0.1 * qr.data.noise(count, shape)).contiguous()
