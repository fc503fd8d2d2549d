"""What a training step needs in memory, and the largest portion of a batch that keeps to a limit.

On the CPU the memory is what the process holds resident, on CUDA what torch takes of the device. Pages of the
prepared data, which are mapped and which the system takes back when it is short of memory, are not counted.
"""

import gc
import json
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from melgpt.errors import UserError
from melgpt.pages import give_back_at_once
from melgpt.paths import atomic
from melgpt.progress import say
from melgpt.runtime import RuntimeConfig, choose_device, peak_memory_gib, training_precision
from melgpt.training.portions import Portions, Saved, count_saved

RECORD = "memory.json"
MARGIN = 1.1
"""What is kept for the backward pass is counted exactly; what comes and goes beside it is not."""
COMPANY = 128 << 20
"""Bytes of what is opened after the choice: the trainer, TensorBoard, pictures."""


@dataclass(frozen=True)
class Need:
    """Bytes that training a part takes; the graphs that live one after the other are its `graphs`."""

    standing: int
    """Everything but the graphs: the process, weights, gradients, averages of weights and optimiser."""
    graphs: tuple[tuple[Saved, Saved], ...]
    """Of each: what does not depend on the number of clips, and what a clip adds."""

    def peak(self, batch: int, portion: int | None) -> int:
        """Bytes of a step on `batch` clips, `portion` at a time (None: all, nothing computed twice)."""
        return self.standing + int(MARGIN * max(_graph(*graph, batch, portion) for graph in self.graphs))

    def portion(self, batch: int, limit: int) -> int | None:
        """The most clips at a time that keep to the limit; None for all. Raises TooLittle where none do."""
        if self.peak(batch, None) <= limit:
            return None
        for portion in range(batch, 0, -1):
            if self.peak(batch, portion) <= limit:
                return portion
        raise TooLittle(self.peak(batch, 1))


class TooLittle(Exception):
    """Not even one clip at a time keeps to the limit."""

    def __init__(self, least: int) -> None:
        super().__init__(least)
        self.least = least


def _graph(fixed: Saved, clip: Saved, batch: int, portion: int | None) -> int:
    whole = fixed.rest + batch * clip.rest
    inside = zip(fixed.portions, clip.portions, strict=True)
    if portion is None:
        return whole + sum(a + batch * b for a, b in inside)
    return whole + max((a + portion * b for a, b in inside), default=0)


def measure(task: Any, batch: Callable[[int], Any], runtime: RuntimeConfig) -> Need:
    """What training a task needs, from its forward passes on one clip and on two.

    batch: a batch of so many clips as the task trains on them. Little memory is used: what the backward pass
    would need is counted and let go of.
    """
    give_back_at_once(LEAST_MAPPED)
    device = choose_device(runtime.device)
    task.to(device).train()
    bf16 = training_precision(device, runtime.precision, task) == "bf16"
    saved = []
    with torch.random.fork_rng(devices=[]), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        state = {name: value.clone() for name, value in task.named_buffers()}
        for clips in (1, 2):
            probes = task.probes(_to(batch(clips), device))
            saved.append([count_saved(task, probe, task) for probe in probes])
        # A quantizer that moves its codebook has seen what it must not learn from.
        for name, value in task.named_buffers():
            value.data.copy_(state[name])
    graphs = tuple((one - (two - one), two - one) for one, two in zip(*saved, strict=True))
    trained = sum(p.nbytes for p in task.parameters() if p.requires_grad)
    averaged = sum(t.nbytes for t in (*task.parameters(), *task.buffers()))
    return Need(_held(device) + 3 * trained + averaged, graphs)


def resident_bytes() -> int:
    """Memory that this process holds now; where the system does not tell, the most that it ever held."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        import resource

        return pages * resource.getpagesize()
    return int((peak_memory_gib() or 0) * (1 << 30))


ROOM = 1.05
"""The process may have grown a little between the choice of a crop and the training."""
LEAST_MAPPED = 1 << 20
"""Bytes from which on a block is given back to the system as soon as it is freed.

Measured on the codec of `small`: after a step 0.97 GB are held instead of 2.7 GB, in no more time.
"""


def _held(device: torch.device) -> int:
    gc.collect()
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else resident_bytes() + COMPANY


def _to(batch: Any, device: torch.device) -> Any:
    return batch.to(device) if isinstance(batch, torch.Tensor) else tuple(part.to(device) for part in batch)


def in_words(size: int) -> str:
    """`3.25 GB`, or below one `410 MB`, in powers of 1000."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{-(-size // 10**6)} MB"


@dataclass(frozen=True)
class Limit:
    """The memory that a run was given, and where it keeps the crops that it chose."""

    bytes: int
    folder: Path

    def keep(
        self, stage: str, task: Any, batch: Callable[[int], Any], size: int, runtime: RuntimeConfig
    ) -> None:
        """Let a task work in portions of its `size` clips that keep to the limit, and say so.

        Raises UserError, with the least that is needed, where none does.
        """
        need = measure(task, batch, runtime)
        try:
            task.portions = Portions(need.portion(size, self.bytes))
        except TooLittle as error:
            raise self._refusal(stage, error.least, "one clip at a time") from None
        self._say(stage, need, size, task.portions.most)

    def crop(
        self,
        stage: str,
        made_from: str,
        wanted: int,
        shorter: Iterable[int],
        build: Callable[[int], tuple[Any, Callable[[int], Any]]],
        size: int,
        runtime: RuntimeConfig,
    ) -> int:
        """Frames of a crop: those that are wanted, or where one clip at a time is too much, fewer.

        shorter: what may be taken instead, rising; build: the task for a crop and its batches. What was
        chosen once for a limit and for what the stage is `made_from` stays: a run made again is the same.
        Raises UserError, with the least that is needed, where nothing fits.
        """
        file, key = self.folder / RECORD, f"{stage} {made_from} {wanted} {size} {self.bytes}"
        if key in (chosen := _read(file)):
            return chosen[key]

        def least(frames: int) -> int:
            return int(ROOM * measure(*build(frames), runtime).peak(size, 1))

        frames, choices = wanted, list(shorter)
        if least(wanted) > self.bytes:
            # What a crop needs rises with its length.
            place = bisect_right(choices, self.bytes, key=least)
            if not place:
                shortest = choices[0] if choices else wanted
                raise self._refusal(
                    stage, least(shortest), f"one clip at a time in crops of {shortest} frames"
                )
            frames = choices[place - 1]
            say(
                f"{stage}: crops of {frames} frames instead of {wanted}: of longer ones not even one clip "
                f"at a time keeps to {in_words(self.bytes)}"
            )
        with atomic(file) as temporary:
            temporary.write_text(json.dumps({**chosen, key: frames}, indent=2) + "\n", encoding="utf-8")
        return frames

    def _say(self, stage: str, need: Need, size: int, portion: int | None) -> None:
        whole = in_words(need.peak(size, None))
        if portion is None:
            say(f"{stage}: all {size} clips of a step at once take about {whole} of {in_words(self.bytes)}")
            return
        say(
            f"{stage}: {portion} of a step's {size} clips at a time take about "
            f"{in_words(need.peak(size, portion))} of {in_words(self.bytes)} and a third more time "
            f"(all at once: {whole}); what is learnt stays the same"
        )

    def _refusal(self, stage: str, least: int, how: str) -> UserError:
        return UserError(
            f"--memory {in_words(self.bytes)} is too little: the {stage} needs {in_words(least)} at least, "
            f"with {how}"
        )


def _read(file: Path) -> dict[str, int]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
