"""Where a result comes from: the versions, the revision and the machine that gave it."""

import os
import platform
import subprocess
from functools import cache as once
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


@once
def versions() -> dict[str, str]:
    """Versions of what computes, and of Python, by name.

    >>> sorted(versions())[:3]
    ['numpy', 'python', 'queen-ref']
    """
    found = {"python": platform.python_version()}
    for name in ("queen-ref", "torch", "torchvision", "numpy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a checkout on the path, not installed
            found[name] = "not installed"
    return found


@once
def revision() -> str | None:
    """The git revision of this checkout, "-dirty" after it where queen_ref/ was changed."""
    here = Path(__file__).parent.parent

    def git(*words: str) -> str:
        call = ["git", "-C", str(here), *words]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (
            "-dirty" if git("status", "--porcelain", "-uno", ".") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None


@once
def machine(device: str) -> str:
    """What the seconds were measured on, in words; `device` "cpu" or "cuda".

    >>> machine("cpu")
    '..., 1 thread of ... cores'
    """
    if device == "cuda":
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    try:
        for row in Path("/proc/cpuinfo").read_text().splitlines():
            if row.startswith("model name"):
                name = row.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{name}, 1 thread of {os.cpu_count()} cores"
