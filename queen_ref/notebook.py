"""What every chapter does first: check its parameters and say what it runs on."""

from __future__ import annotations

PROFILES = ("smoke", "cpu", "gpu")
RESULTS = "https://raw.githubusercontent.com/queen-ref/queen-ref/main/book/results"


def check_parameters(profile: str, seed: int) -> None:
    """Refuse a profile or a seed that no notebook knows, before anything runs.

    Args:
        profile: ``"smoke"``, ``"cpu"`` or ``"gpu"``.
        seed: an integer from 0 up.

    Raises:
        ValueError: what is wrong with either.

    Example:
        >>> check_parameters(profile="cpu", seed=0)
    """
    if profile not in PROFILES:
        raise ValueError(f"expected profile to be one of {', '.join(PROFILES)}; got {profile!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"expected seed to be an integer from 0 up; got {seed!r}")


def running_line(profile: str, seed: int, minutes: dict[str, float]) -> None:
    """Print the device, the versions, the settings and the expected time; set nothing.

    Args:
        profile, seed: as for `check_parameters`.
        minutes: what the notebook takes in each profile, as measured.

    Raises:
        ValueError: a wrong profile or seed, or no expected time for this profile.

    Example:
        >>> running_line("cpu", 0, minutes={"smoke": 0.2, "cpu": 2, "gpu": 5})  # doctest: +SKIP
        CPU, 2 threads | torch 2.15.0 | profile cpu | seed 0 | about 2 minutes
    """
    import torch

    check_parameters(profile, seed)
    if profile not in minutes:
        raise ValueError(f"expected minutes to have an entry for profile {profile!r}")
    gpu = torch.cuda.is_available()
    threads = torch.get_num_threads()
    cpu = f"CPU, {threads} thread{'s' if threads > 1 else ''}"
    device = torch.cuda.get_device_name() if gpu else cpu
    expected = minutes[profile]
    time = f"{60 * expected:.0f} seconds" if expected < 1 else f"{expected:g} minutes"
    print(f"{device} | torch {torch.__version__} | profile {profile} | seed {seed} | about {time}")
    if not gpu:
        print("No GPU: the profile cpu is made for that. To have one on Colab: Runtime,")
        print('Change runtime type; then set profile = "gpu" in the parameters cell.')


def recorded(name: str):
    """Path of a results file that this repository has checked in.

    Where only the package is installed (Colab, for example) the file is fetched once.

    Args:
        name: a file in ``book/results``, for example ``"arena.jsonl"``.

    Raises:
        ValueError: there is no such file, and it cannot be fetched either.

    Example:
        >>> recorded("arena.jsonl").name
        'arena.jsonl'
    """
    import tempfile
    import urllib.request
    from pathlib import Path

    path = Path(__file__).resolve().parents[1] / "book" / "results" / name
    if path.is_file():
        return path
    copy = Path(tempfile.gettempdir()) / f"queen-ref-{name}"
    if not copy.is_file():
        try:
            with urllib.request.urlopen(f"{RESULTS}/{name}", timeout=20) as answer:
                copy.write_bytes(answer.read())
        except OSError as error:
            raise ValueError(f"expected recorded results at {path}, found none ({error})") from None
    return copy
