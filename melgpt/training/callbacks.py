"""Small things that happen around training: averaged weights, seeds, the progress bar, pictures and sound."""

from contextlib import ExitStack
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import Tensor, nn

from melgpt.audio.picture import mel_image
from melgpt.progress import Progress, progress


class StepSeed(Callback):
    """Seeds each step by its place in the run: a resumed run draws what an undisturbed one does."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        torch.manual_seed(hash((self.seed, trainer.current_epoch, batch_idx)) % (1 << 63))


class Averaging(WeightAveraging):
    """Exponential moving average of all weights, quick at first; validation and the saved part use it."""

    def __init__(self, keep: float) -> None:
        def average(averaged: Any, current: Any, count: Tensor | int) -> None:
            done = float(count)
            share = min(keep, (1 + done) / (10 + done))
            pairs = [(old, new.detach()) for old, new in zip(averaged, current, strict=True)]
            moving = [pair for pair in pairs if pair[0].is_floating_point()]
            if moving:
                torch._foreach_lerp_([old for old, _ in moving], [new for _, new in moving], 1 - share)
            for old, new in pairs:
                if not old.is_floating_point():
                    old.copy_(new)

        super().__init__(use_buffers=True, multi_avg_fn=average)


class ShowProgress(Callback):
    """One bar for the whole stage, with the last validation at its end."""

    def __init__(self, title: str, steps: int, monitor: str) -> None:
        self.title, self.steps, self.monitor = title, steps, monitor
        self._stack, self._bar = ExitStack(), Progress(title, steps)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        done = max(0, trainer.fit_loop.epoch_loop.total_batch_idx + 1)
        self._bar = self._stack.enter_context(progress(self.title, self.steps))
        self._bar.resume_at(done)

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any, **kwargs: Any) -> None:
        value = trainer.callback_metrics.get(self.monitor)
        note = "" if value is None else f"{self.monitor} {float(value):.4f}"
        # A stage that can stop early keeps its best weights: a rising figure then costs nothing.
        stopping = trainer.early_stopping_callback
        if value is not None and stopping is not None and float(stopping.best_score) < float(value):
            note += f", best kept {float(stopping.best_score):.4f}"
        self._bar.advance(note=note)

    def on_train_end(self, *args: Any) -> None:
        self._stack.close()

    def on_exception(self, *args: Any) -> None:
        self._stack.close()


class FlushBoard(Callback):
    """Writes TensorBoard's curves to disk before each checkpoint, so that a killed run has no gap in them."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        board: Any = trainer.loggers[0].experiment  # type: ignore[attr-defined]
        board.flush()


class HearReconstructions(Callback):
    """A few validation clips in TensorBoard, as pictures and sound: as they are, and through the codec."""

    def __init__(self, clips: list[Tensor], vocoder: nn.Module) -> None:
        """clips: mels [F, N] in [0, 1]."""
        self.clips, self.vocoder = clips, vocoder

    @torch.inference_mode()
    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        for number, mel in enumerate(self.clips):
            values = mel[None].to(pl_module.device)
            codec = pl_module.codec
            shown = {"reconstruction": codec.detokenize(codec.tokenize(values))[..., : mel.shape[-1]]}
            if trainer.current_epoch == 0:
                shown["original"] = values
            # The step of the curves: Lightning's own counts those of both optimisers.
            step = pl_module.batches_done()
            for name, each in shown.items():
                self._log(trainer, f"{number}/{name}", each, step)

    def _log(self, trainer: lightning.Trainer, name: str, values: Tensor, step: int) -> None:
        board: Any = trainer.loggers[0].experiment  # type: ignore[attr-defined]
        board.add_image(f"picture {name}", mel_image(values[0].cpu()), step, dataformats="HWC")
        rate = self.vocoder.scale.rate  # type: ignore[union-attr]
        # Under another name: TensorBoard shows one kind of thing a name.
        board.add_audio(f"sound {name}", self.vocoder(values.cpu())[0], step, sample_rate=rate)
