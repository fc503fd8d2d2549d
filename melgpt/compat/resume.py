"""--resume for an original's checkpoint: its weights, optimiser states and counters in our form.

The originals' Adam numbers its parameters encoder, decoder, codebook, quant_conv, post_quant_conv, then the
discriminator's; ours in the order of our modules. They count two global steps a batch, and so do we.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from melgpt.compat.codec_task import SeedCodecTask
from melgpt.compat.weights import fill, is_ours
from melgpt.pretrained import codec as codecs
from melgpt.pretrained.reading import read_content, state_of
from melgpt.progress import say

_GROUPS = ("_encoder.", "_decoder.", "_vq_vae.", "quant_conv.", "post_quant_conv.")


@dataclass(frozen=True)
class Start:
    """Where training begins: with a checkpoint of our own, or with what an original's held."""

    checkpoint: Path | None = None
    epochs: int = 0
    """That are done, where it is an original's."""
    callbacks: tuple[Callback, ...] = ()


class GoOn(Callback):
    """Sets the counters and the optimisers' states before the first batch."""

    def __init__(self, epochs: int, steps: int, optimisers: list[dict[int, Any]]) -> None:
        """epochs done; global steps done, two a batch; by parameter number, the state of each optimiser."""
        self.epochs, self.steps, self.optimisers = epochs, steps, optimisers

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        epochs: Any = trainer.fit_loop.epoch_progress
        for progress in (epochs.total, epochs.current):
            for name in ("ready", "started", "processed", "completed"):
                setattr(progress, name, self.epochs)
        loop: Any = trainer.fit_loop.epoch_loop
        for name in ("ready", "started", "processed", "completed"):
            setattr(loop.batch_progress.total, name, self.steps // 2)
        loop._batches_that_stepped = self.steps // 2
        loop.manual_optimization.optim_step_progress.total.completed = self.steps

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        for optimiser, state in zip(trainer.optimizers, self.optimisers, strict=True):
            if state:
                optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def start_codec(path: Path, task: SeedCodecTask) -> Start:
    """How to go on from a file of ours or of the originals; the task has its weights afterwards.

    Raises UserError for a file that holds no codec, or one of other sizes than the flags say.
    """
    content = read_content(path)
    state = state_of(content, str(path))
    if is_ours(state, "codec", path):
        fill(task, state, str(path))
        return Start(path)
    converted = {f"codec.{name}": tensor for name, tensor in codecs.from_original(state).items()}
    judge = codecs.discriminator_from_original(state)
    if not judge:
        say(f"{path} has no discriminator: it starts anew")
        judge = task.discriminator.state_dict()
    judge = {f"discriminator.{name}": tensor for name, tensor in judge.items()}
    fill(task, {**converted, **judge}, str(path))
    theirs = content.get("optimizer_states") or [] if "state_dict" in content else []
    states: list[dict[int, Any]] = [{}, {}]
    if len(theirs) == 2:
        states = [
            _renumber(theirs[0]["state"], _codec_order(state), task.codec),
            _renumber(
                theirs[1]["state"], list(codecs.discriminator_from_original(state)), task.discriminator
            ),
        ]
    done, steps = int(content.get("epoch", -1)) + 1, int(content.get("global_step", 0))
    say(f"{path} is an original's checkpoint: {done} epochs and {steps // 2} batches were done")
    return Start(None, done, (GoOn(done, steps, states),))


def _codec_order(state: dict[str, Tensor]) -> list[str]:
    """Our name of each of the originals' codec parameters, in the order of their optimiser."""
    kept = [key for key in state if key not in set(codecs.dropped_keys(state))]
    ours = dict(zip(kept, codecs.from_original(state), strict=True))
    return [ours[key] for group in _GROUPS for key in kept if key.startswith(group)]


def _renumber(state: dict[int, Any], names: list[str], part: nn.Module) -> dict[int, Any]:
    """The originals' Adam state under our numbers; names that are buffers have no number."""
    parameters = dict(part.named_parameters())
    theirs = [name for name in names if name in parameters]
    if set(state) != set(range(len(theirs))):
        return {}
    numbers = {name: number for number, name in enumerate(theirs)}
    renumbered = {}
    for number, (name, parameter) in enumerate(parameters.items()):
        values = dict(state[numbers[name]])
        for key in ("exp_avg", "exp_avg_sq"):
            # Laid out as the parameter is: a fused optimiser walks through both in the order of memory.
            laid_out = torch.empty_like(parameter, requires_grad=False)
            values[key] = laid_out.copy_(values[key].reshape(parameter.shape))
        values["step"] = torch.as_tensor(float(values["step"]))
        renumbered[number] = values
    return renumbered
