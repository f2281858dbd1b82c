"""What QUEEN costs per query, as a ratio to the victim's bare forward, regime by regime."""

from benchmarks.persample import PerSampleQueen
from benchmarks.regimes import Regimes
from benchmarks.timing import Record, pictures, ratio

BATCH = 256
FULL = 10_000  # points a class
ASKED = 16  # queries of the reference that answers one at a time


def measure(record: Record, rounds: int, quick: bool = False) -> None:
    """Add the ratios of a small victim and of a large one."""
    victims = [("small_cnn", (1, 28, 28))]
    if not quick:
        victims.append(("resnet18", (3, 32, 32)))
    for name, shape in victims:
        small = name == "small_cnn"
        tasks, batch = Regimes(name, shape), pictures(shape, BATCH)
        bare, floor = tasks.bare(batch), tasks.floor(batch)
        limit = 1.25 if small else 1.05
        record.part(f"{name}, images {shape}, batch {BATCH}, K = 10, k_s = 5 of 10 shadows")
        for regime, run, target in (
            ("walk", tasks.walk(batch), limit),
            ("record, empty ledger", tasks.record(batch), limit),
            (f"record, {FULL} points a class", tasks.record(batch, FULL), 1.6),
        ):
            times = ratio(run, bare, rounds)
            record.add("queen", regime, "bare forward", times, target, victim=name, floor=1)
        reverse = tasks.reverse(batch)
        times = ratio(reverse, bare, rounds)
        record.add("queen", "reverse", "bare forward", times, victim=name, floor=1 + 5)
        times = ratio(floor, bare, rounds)
        record.add("queen", "floor of reverse", "bare forward", times, victim=name)
        times = ratio(reverse, floor, rounds)
        record.add("queen", "reverse", "its floor", times, 1.15, victim=name)
        for regime, run, target in (
            ("hide", tasks.hide(batch), 1.1),
            ("walk behind a gate", tasks.gated(batch), 1.05),
        ):
            times = ratio(run, tasks.walk(batch), rounds)
            record.add("queen", regime, "walk", times, target, victim=name)
        one_at_a_time(record, tasks, rounds, victim=name, target=15 if small else None)
    if not quick:
        record.part("small_cnn, batch 256, K = 100")
        tasks = Regimes("small_cnn", (1, 28, 28), classes=100)
        one_at_a_time(record, tasks, rounds, victim="small_cnn", target=100)


def one_at_a_time(record: Record, tasks: Regimes, rounds: int, victim: str, target=None) -> None:
    """The paper's description followed query by query (`PerSampleQueen`), against ours."""
    batch = pictures(tasks.shape, BATCH)
    few, share = batch[:ASKED], BATCH / ASKED
    for regime in ("walk", "reverse"):
        run = tasks.walk(batch) if regime == "walk" else tasks.reverse(batch)
        reference = PerSampleQueen(tasks.strict())
        if regime == "walk":
            reference.s = [0.0] * tasks.classes
        else:
            reference.recorded = [[(1e9, 1e9)]] * tasks.classes
            reference.cqs = [1.0] * tasks.classes
        times = ratio(lambda reference=reference: reference(few), run, max(3, rounds // 5))
        record.add(
            "one at a time", f"{regime}, one query at a time", f"ours, {regime}",
            [share * value for value in times], target if regime == "reverse" else None,
            at_least=True, victim=victim, K=tasks.classes,
        )  # fmt: skip
