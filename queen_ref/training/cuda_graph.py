"""A training step recorded once and replayed: what makes small networks fast on a GPU.

A step of VGG16 is a few hundred kernels. Python launches them one by one, and on small images a
launch takes longer than its kernel: the GPU waits. A CUDA graph records the launches of one step
and repeats them all with a single call, on the same memory. So inputs are copied to where the
recorded step reads them, and whatever Python did beside the kernels is not done again: a learning
rate, for example, is a constant in the recording.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

# Steps before the recording. Libraries choose their kernels in them, the optimizer its buffers.
WARM_UP = 3

Step = Callable[..., None]


class GraphedStep:
    """`step(*inputs)`, recorded after `WARM_UP` calls and replayed from then on.

    Arguments: `step`, which returns nothing, waits for no result and draws nothing at random on
    the CPU; `recorder`, see `CudaRecorder`. Inputs of another shape than the first ones, such as a
    last batch, take the step itself.

    >>> step = GraphedStep(lambda x: total.add_(x.sum()), CudaRecorder())    # doctest: +SKIP
    >>> for batch in images.split(128): step(batch)                          # doctest: +SKIP
    """

    def __init__(self, step: Step, recorder: "CudaRecorder"):
        self.step, self.recorder, self.calls = step, recorder, 0
        self.shapes: list[torch.Size] = []
        self.static_inputs: list[Tensor] = []
        self.replay: Callable[[], None] | None = None

    def __call__(self, *inputs: Tensor) -> None:
        shapes = [value.shape for value in inputs]
        self.shapes = self.shapes or shapes  # those of the first batch, which is a whole one
        if shapes != self.shapes:
            self.step(*inputs)
            return
        self.calls += 1
        if self.calls <= WARM_UP:
            with self.recorder.side_stream():
                self.step(*inputs)
            return
        if self.replay is None:
            self.static_inputs = [value.clone() for value in inputs]
            self.replay = self.recorder.record(lambda: self.step(*self.static_inputs))
        for static, value in zip(self.static_inputs, inputs, strict=True):
            static.copy_(value)
        self.replay()

    def forget(self) -> None:
        """Record anew at the next call: something that is a constant in the step has changed."""
        self.static_inputs, self.replay = [], None


class CudaRecorder:
    """Records on a stream of its own, as CUDA demands; the first steps run there too.

    >>> CudaRecorder().record(lambda: None)      # doctest: +SKIP
    <bound method CUDAGraph.replay ...>
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()

    @contextmanager
    def side_stream(self) -> Iterator[None]:
        """Run what is inside on the recorder's stream, after all that was begun before it."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            yield
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record the kernels of `work` without running them; returns what runs them."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            work()
        return graph.replay


def recorder_for(device: torch.device) -> CudaRecorder | None:
    """A recorder for a GPU; None for a CPU, where a launch costs nothing worth saving.

    >>> recorder_for(torch.device("cpu")) is None
    True
    """
    return CudaRecorder() if device.type == "cuda" else None
