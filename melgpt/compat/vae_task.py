"""The originals' training of the GPT-VAE: their annealing, free bits, optimiser and scalar names.

`--beta 0` is a plain auto-encoder; every other value only switches the KL on, it is no factor. The logged
`train/loss` counts the whole KL, whatever it costs; the loss of validation does so too.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from torch import Tensor

from melgpt.audio.picture import mel_image
from melgpt.compat.gpt_task import TOP_K, Listener
from melgpt.evaluation.latent import active_units, mutual_information
from melgpt.gpt.model import weight_decay_groups
from melgpt.gpt.order import unflatten
from melgpt.gpt.sampling import Sampling, random_streams
from melgpt.gpt.vae import GPTVAE
from melgpt.losses.kl import Annealing, VAELoss, kl_per_dimension, vae_loss
from melgpt.training.errors import check_finite

INTERPOLATION = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class SeedKL:
    """The flags that say what the KL costs."""

    beta: float
    annealing: Annealing
    free_bits: int
    target: float

    def weigh(self, step: int) -> dict[str, Any]:
        """Options of `vae_loss` at a step."""
        if self.beta == 0:
            return {"weight": 0.0}
        return {"weight": self.annealing.weight(step), "free_bits": self.free_bits, "target": self.target}

    @property
    def never(self) -> bool:
        """Whether validation is judged by the reconstruction alone."""
        return self.beta == 0 or self.annealing.never


class SeedVAETask(lightning.LightningModule):
    """Lightning's view of the VAE, as the originals'."""

    def __init__(
        self, vae: GPTVAE, rate: float, kl: SeedKL, listen: Listener | None, *, every: int, interpolate: bool
    ) -> None:
        """every: batches between sounds and pictures in TensorBoard; interpolate: also between two clips."""
        super().__init__()
        self.vae, self.rate, self.kl, self.listen = vae, rate, kl, listen
        self.every, self.interpolate = every, interpolate
        self._seen: list[tuple[Tensor, Tensor, Tensor, float]] = []

    def configure_optimizers(self) -> Any:
        groups = weight_decay_groups(self.vae, 0.01)
        return torch.optim.AdamW(groups, lr=self.rate, betas=(0.9, 0.95), fused=True)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Tokens [B, S] and labels [B], which a VAE does not use."""
        tokens, _ = batch
        cost = self.kl.weigh(self.global_step)
        loss, *_ = self._loss(tokens, **cost)
        check_finite(loss.total, "vae", self.global_step)
        values = {
            "train/loss": loss.total if self.kl.beta == 0 else loss.bound,
            "train/loss_rc": loss.reconstruction,
            "train/loss_kl": loss.kl,
            "train/kl_weight": torch.tensor(cost["weight"]),
        }
        if self.kl.free_bits == 2:
            values["train/fake_loss_kl"] = loss.counted
        both: dict[str, Any] = {"on_step": True, "on_epoch": True, "batch_size": len(tokens)}
        self.log_dict({name: value.detach() for name, value in values.items()}, **both)
        if self.listen and self.every and index % self.every == 0:
            self._show("train", tokens)
        return loss.total

    def on_validation_epoch_start(self) -> None:
        self._seen.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        tokens, _ = batch
        noise = torch.Generator().manual_seed(index)
        loss, mean, log_variance, z = self._loss(tokens, noise, weight=1.0)
        judged = loss.reconstruction if self.kl.never else loss.bound
        named = {"val/loss": judged, "val/loss_rc": loss.reconstruction, "val/loss_kl": loss.kl}
        self.log_dict(named, on_epoch=True, batch_size=len(tokens))
        parts = (mean.cpu(), log_variance.cpu(), z.cpu())
        self._seen.append((*parts, float(judged) * len(tokens)))
        if self.listen and self.every and index % self.every == 0:
            self._show("val", tokens)

    def on_validation_epoch_end(self) -> None:
        mean, log_variance, z = (torch.cat(parts) for parts in list(zip(*self._seen, strict=True))[:3])
        nll = sum(seen[3] for seen in self._seen) / len(mean)
        values = {
            "mutual_info": mutual_information(mean, log_variance, z),
            "active_units": float(active_units(mean)),
            "nll": nll,
            # A sentence of S tokens has S - 1 words, as the originals count.
            "ppl": math.exp(min(nll / max(1, self.vae.length - 1), 80.0)),
        }
        self.log_dict({f"metrics/{name}": value for name, value in values.items()})

    def _loss(
        self, tokens: Tensor, noise: torch.Generator | None = None, **cost: Any
    ) -> tuple[VAELoss, Tensor, Tensor, Tensor]:
        mean, log_variance = self.vae.encode(tokens)
        z = self.vae.draw(mean, log_variance, noise)
        loss = vae_loss(self.vae.error(tokens, z), kl_per_dimension(mean, log_variance), **cost)
        return loss, mean, log_variance, z

    @torch.no_grad()
    def _show(self, split: str, tokens: Tensor) -> None:
        """The first clip of the batch, as it is and through z, and the way to the second one."""
        training = self.training
        self.eval()
        z = self.vae.draw(*self.vae.encode(tokens[:2]))
        self._log(f"{split}/original", tokens[:1])
        for name, sampling in self._strategies():
            write = self._writer(sampling)
            self._log(f"{split}/{name}_reconstraction", write(z[:1]))
            if self.interpolate and len(tokens) > 1:
                for number, share in enumerate(INTERPOLATION, 1):
                    between = write(share * z[1:2] + (1 - share) * z[:1])
                    self._log(f"interpolation/{split}/{name}", between, number)
        self.train(training)

    def _strategies(self) -> list[tuple[str, Sampling]]:
        """`greedy`, and what the originals call `beam`: drawn from the 100 likeliest codes."""
        drawn = Sampling(top_k=min(TOP_K, self.vae.config.codebook))
        return [("greedy", Sampling(temperature=0)), ("beam", drawn)]

    def _writer(self, sampling: Sampling) -> Callable[[Tensor], Tensor]:
        return lambda z: self.vae.write(z, sampling, random_streams(0, len(z)))

    def _log(self, name: str, tokens: Tensor, step: int | None = None) -> None:
        assert self.listen is not None
        board = self.loggers[0].experiment  # type: ignore[attr-defined]
        mel, sound = self.listen(unflatten(tokens.cpu(), self.vae.config.rows))
        step = self.global_step if step is None else step
        board.add_image(name, mel_image(mel[0]), step, dataformats="HWC")
        board.add_audio(f"{name}_audio", sound, step, sample_rate=self.listen.rate)
