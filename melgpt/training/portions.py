"""A batch in portions, so that the memory of a step is that of a few clips, and what it keeps counted.

The work on each portion is done twice, once without keeping what the backward pass needs and once when that
pass gets there (checkpointing: Chen et al. 2016, https://arxiv.org/abs/1604.06174). Compared with stepping
through a batch by accumulated gradients this costs a third more time, and gives the whole batch's result also
where that is no mean over clips: batch normalisation, moving codebooks, adaptive weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.checkpoint import checkpoint

Work = Callable[..., Tensor]
Probe = Callable[[], object]
"""A forward pass as training makes it, whose graph is alive at one time."""


class Portions:
    """`portions(function, *tensors)` = function(*tensors), with `most` clips at a time."""

    def __init__(self, most: int | None = None) -> None:
        """most: None for whole batches, whose graph is kept as a whole."""
        self.most = most

    def __call__(self, function: Work, *tensors: Tensor) -> Tensor:
        """function: of tensors with the clips first to such a tensor; no clip's result depends on another."""
        if self.most is None:
            return function(*tensors)
        split = zip(*(tensor.split(self.most) for tensor in tensors), strict=True)
        return torch.cat([checkpoint(function, *part, use_reentrant=False) for part in split])


@dataclass(frozen=True)
class Saved:
    """Bytes that a forward pass keeps for the backward one."""

    rest: int
    """What is kept for a whole batch, whatever the portions."""
    portions: tuple[int, ...]
    """What each function that goes in portions keeps."""

    def __sub__(self, other: "Saved") -> "Saved":
        pairs = zip(self.portions, other.portions, strict=True)
        return Saved(self.rest - other.rest, tuple(a - b for a, b in pairs))


def count_saved(task: Any, probe: Probe, owner: nn.Module) -> Saved:
    """What a probe of a task keeps, apart from the weights of `owner`; it needs little memory itself."""
    counting = _Counting(owner)
    before, task.portions = task.portions, counting
    try:
        with saved_tensors_hooks(counting.rest.keep, lambda tensor: tensor):
            probe()
    finally:
        task.portions = before
    return Saved(counting.rest.bytes, tuple(counting.inside))


class _Counting(Portions):
    """Runs whole batches, but lets go of what their backward pass would need."""

    def __init__(self, owner: nn.Module) -> None:
        super().__init__()
        self.owner, self.rest, self.inside = owner, _Counter(owner), list[int]()

    def __call__(self, function: Work, *tensors: Tensor) -> Tensor:
        counter = _Counter(self.owner)
        with saved_tensors_hooks(counter.drop, _gone):
            result = function(*tensors)
        self.inside.append(counter.bytes)
        return result


class _Counter:
    """Adds up the memory behind the tensors that autograd keeps, each block once, the weights not at all."""

    def __init__(self, owner: nn.Module) -> None:
        # A weak reference keeps a block's number from being used again, not its memory.
        self._seen: dict[int, StorageWeakRef] = {}
        self.bytes = 0
        for weight in owner.parameters():
            self._add(weight)
        self.bytes = 0

    def keep(self, tensor: Tensor) -> Tensor:
        self._add(tensor)
        return tensor

    def drop(self, tensor: Tensor) -> None:
        self._add(tensor)

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        reference = StorageWeakRef(storage)
        if reference.cdata not in self._seen:
            self._seen[reference.cdata] = reference
            self.bytes += storage.nbytes()


def _gone(_: None) -> Tensor:
    raise RuntimeError("what this backward pass needs was only counted, not kept")
