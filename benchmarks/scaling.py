"""How QUEEN's cost per query grows: with the batch, the classes, the past, the shadows.

Every ratio is to the victim's bare forward on the same batch in the same run. A line that stays
flat means that QUEEN costs a constant factor, whatever the size.
"""

import torch

import queen_ref as qr
from benchmarks.regimes import INSIDE, Regimes, afresh
from benchmarks.timing import Record, pictures, ratio

SHAPE = (1, 28, 28)
BATCH = 256
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
CLASSES = (10, 30, 100, 300, 1000)
SERVED = (100, 1000, 10_000, 100_000, 1_000_000)
PER_QUERY = (1, 2, 5, 10)  # k_s of 10 shadows
SHADOWS = (5, 10, 20, 50)  # n, with k_s = 5
SPACING = 0.02  # r / s_k: fine enough that a disc holds thousands of points


def measure(record: Record, rounds: int, quick: bool = False) -> None:
    """Add all four scalings; the quick ones stop early."""
    tasks = Regimes("small_cnn", SHAPE)
    with_batch(record, tasks, BATCHES[:3] if quick else BATCHES, rounds)
    with_classes(record, CLASSES[:2] if quick else CLASSES, rounds)
    with_past(record, tasks, SERVED[:3] if quick else SERVED, rounds)
    with_shadows(record, tasks, quick, rounds)


def with_batch(record: Record, tasks: Regimes, sizes: tuple, rounds: int) -> None:
    record.part("batch size; small_cnn, K = 10")
    for size in sizes:
        three_regimes(record, tasks, pictures(SHAPE, size), "batch", size, rounds)


def with_classes(record: Record, counts: tuple, rounds: int) -> None:
    record.part(f"classes K; small_cnn, batch {BATCH}")
    for classes in counts:
        tasks = Regimes("small_cnn", SHAPE, classes)
        three_regimes(record, tasks, pictures(SHAPE, BATCH), "K", classes, rounds)


def three_regimes(record, tasks, batch, axis: str, value: int, rounds: int) -> None:
    bare = tasks.bare(batch)
    for regime in ("walk", "record", "reverse"):
        times = ratio(getattr(tasks, regime)(batch), bare, rounds)
        about = {"axis": axis, "value": value, "regime": regime}
        record.add("scaling", f"{axis} {value}, {regime}", "bare forward", times, **about)


def with_past(record: Record, tasks: Regimes, counts: tuple, rounds: int) -> None:
    """One client who has already asked so many queries, spread evenly over the classes' discs.

    Nothing stops the recording here (the threshold is out of reach), so the ledger fills up to
    what the discs can hold: points farther than r apart need discs of radius r / 2 that do not
    overlap, so there are at most (2 s_k / r + 1)^2 of a class. The threshold keeps it far below.
    """
    record.part(f"queries one client has asked; small_cnn, batch {BATCH}, r = {SPACING} s_k")
    queen = tasks.queen.with_settings(beta=INSIDE, spacing=SPACING, threshold=1e9)
    batch = pictures(SHAPE, BATCH)
    queen(batch[:1], client="r")
    ledger, bare = queen.ledger("r"), tasks.bare(batch)
    bound = int(ledger.num_classes * (2 / SPACING + 1) ** 2)
    spread = torch.Generator().manual_seed(0)
    served = 1
    for count in counts:
        while served < count:
            size = min(2000, count - served)
            labels = torch.randint(ledger.num_classes, (size,), generator=spread)
            ledger.observe(anywhere(ledger, labels, spread), labels)
            served += size
        times = ratio(afresh(queen, batch, "r"), bare, rounds)
        points, _ = ledger.points
        record.add(
            "scaling", f"{count} queries asked", "bare forward", times,
            axis="asked", value=count, regime="record", recorded=len(points),
            kilobytes=memory(ledger) / 1e3, bound=bound,
        )  # fmt: skip
        print(
            f"    {len(points)} points recorded, {memory(ledger) / 1e3:.0f} kB; "
            f"the discs hold at most {bound}",
            flush=True,
        )


def anywhere(ledger: qr.SensitivityLedger, labels: torch.Tensor, random) -> torch.Tensor:
    """A point (B, 2) of each label's disc, every place as likely."""
    radius = torch.rand(len(labels), generator=random, dtype=torch.float64).sqrt()
    angle = 2 * torch.pi * torch.rand(len(labels), generator=random, dtype=torch.float64)
    way = torch.stack([angle.cos(), angle.sin()], 1)
    return ledger.centers[labels] + (radius * ledger.sensitive[labels])[:, None] * way


def memory(ledger: qr.SensitivityLedger) -> int:
    """Bytes of everything a ledger remembers of its client."""
    table = ledger.point_grid.table
    return table.numel() * table.element_size()


def with_shadows(record: Record, tasks: Regimes, quick: bool, rounds: int) -> None:
    batch = pictures(SHAPE, BATCH)
    record.part(f"shadows, regime reverse; small_cnn, batch {BATCH}")
    wanted = [(10, per_query) for per_query in PER_QUERY]
    wanted += [(count, 5) for count in SHADOWS if count != 10]
    for count, per_query in wanted[:2] if quick else wanted:
        own = Regimes("small_cnn", SHAPE, shadows=count, shadows_per_query=per_query)
        times = ratio(own.reverse(batch), own.bare(batch), rounds)
        record.add(
            "scaling", f"n = {count}, k_s = {per_query}", "bare forward", times,
            axis="shadows", value=per_query, shadows=count, regime="reverse", floor=1 + per_query,
        )  # fmt: skip
