"""Training: images a second, against the floor, the machine's peak, and a plain loop.

The floor of a training step is three forward passes (one forward, and a way back that costs
about two). The share of the peak is the floating-point work a second, divided by that of a large
matrix product, timed in turn with it. It can pass 1 on a CPU, where convolutions and matrix
products are two libraries' work. The plain loop is what a user would write: a DataLoader over
single images, the default memory layout, the loss read every step.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

import queen_ref as qr
from benchmarks.timing import Record, pictures, ratio, seconds

NETWORKS = (("small_cnn", (1, 28, 28)), ("resnet18", (3, 32, 32)), ("vgg16_bn", (3, 32, 32)))
BATCH = 128
ONE_EPOCH = qr.Recipe(epochs=1, batch_size=BATCH)


def measure(record: Record, rounds: int, quick: bool = False) -> None:
    """Add one epoch of `queen_ref.training.fit` for each network, on a GPU if there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    product, product_work = matrix_product(device)
    record.part(f"training on {device}, batch {BATCH}")
    for name, shape in NETWORKS[:1] if quick else NETWORKS:
        count = (4096 if name == "small_cnn" else 256) * (16 if device == "cuda" else 1)
        images = pictures(shape, count).to(device)
        labels = torch.arange(count, device=device) % 10
        model = qr.models.build(name, shape, 10, seed=0).to(device)
        work = forward_work(model, images[:1])
        few = max(3, rounds // 5)

        @torch.enable_grad()
        def ours(model=model, images=images, labels=labels):
            qr.training.fit(model, images, labels, ONE_EPOCH, desc="")

        @torch.enable_grad()
        def plain(model=model, images=images, labels=labels):
            plain_epoch(model, images.cpu(), labels.cpu(), device)

        def floor(model=model, images=images):
            model.to(memory_format=torch.channels_last)  # the faster layout, as in fit
            for batch in images.split(BATCH):
                for _ in range(3):
                    model(batch)

        once = sorted(seconds(ours) for _ in range(3))[1]
        # In turn, for a slow moment of the machine must not look like a fast network.
        turns = [t * 3 * work * count / product_work for t in ratio(product, ours, few)]
        speed, share = count / once, float(np.median(turns))
        more = dict(victim=name, images_per_second=speed, share_of_peak=share)
        record.add(
            "training", f"{name}, our epoch", "three forwards", ratio(ours, floor, few), **more
        )
        said = f"{share:.0%} of the operations a second of a large matrix product"
        print(f"    {speed:.0f} images a second, {said}", flush=True)
        times = ratio(plain, ours, few)
        record.add("training", f"{name}, a plain loop", "our epoch", times, victim=name)


def plain_epoch(model, images, labels, device) -> float:
    loader = DataLoader(TensorDataset(images, labels), batch_size=BATCH, shuffle=True)
    steps = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    model.train()
    total = 0.0
    for batch, target in loader:
        loss = F.cross_entropy(model(batch.to(device)), target.to(device))
        steps.zero_grad()
        loss.backward()
        steps.step()
        total += loss.item()
    return total


def forward_work(model, image: torch.Tensor) -> int:
    """Floating-point operations of one image's forward pass (a multiply-add is two)."""
    model.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image)
    return counter.get_total_flops()


def matrix_product(device: str, size: int = 2048):
    """Ten square matrix products in fit's precision, as a task, and their operations."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    size = 4 * size if device == "cuda" else size
    a = torch.randn(size, size, device=device, dtype=dtype)

    def run():
        for _ in range(10):
            a @ a

    return run, 10 * 2 * size**3
