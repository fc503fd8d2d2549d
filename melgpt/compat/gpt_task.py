"""The originals' training of the class-conditional GPT: their optimiser, rate and scalar names.

AdamW with betas 0.9 and 0.95 and decay on the matrices of linear layers alone, at a constant rate that is not
multiplied by the batch size; no clipping of gradients.
"""

from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.audio.picture import mel_image
from melgpt.codec.codec import Codec
from melgpt.gpt.model import weight_decay_groups
from melgpt.gpt.order import unflatten
from melgpt.gpt.prior import Prior
from melgpt.gpt.sampling import Sampling, random_streams, sample
from melgpt.training.errors import check_finite

TOP_K = 100
"""The originals draw their pictures from the 100 likeliest codes."""


class SeedPriorTask(lightning.LightningModule):
    """Lightning's view of the prior, as the originals'."""

    def __init__(self, prior: Prior, rate: float, listen: "Listener | None", every: int) -> None:
        """every: batches between sounds and pictures in TensorBoard; 0 for none, as without a listener."""
        super().__init__()
        self.prior, self.rate, self.listen, self.every = prior, rate, listen, every

    def configure_optimizers(self) -> Any:
        groups = weight_decay_groups(self.prior, 0.01)
        return torch.optim.AdamW(groups, lr=self.rate, betas=(0.9, 0.95), fused=True)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Tokens [B, S] and labels [B]."""
        loss = self._loss(batch)
        check_finite(loss, "prior", self.global_step)
        self.log("train/loss", loss.detach(), on_step=True, on_epoch=True, batch_size=len(batch[0]))
        if self.listen and self.every and index % self.every == 0:
            self._show("train", batch, self.listen)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.log("val/loss", self._loss(batch), on_step=True, on_epoch=True, batch_size=len(batch[0]))
        if self.listen and self.every and index % self.every == 0:
            self._show("val", batch, self.listen)

    def _loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        tokens, labels = batch
        return F.cross_entropy(self.prior(tokens[:, :-1], labels).flatten(0, 1).float(), tokens.flatten())

    def _show(self, split: str, batch: tuple[Tensor, Tensor], listen: "Listener") -> None:
        """The first clip of the batch, one drawn from nothing, and the likeliest one."""
        training, board = self.training, self.loggers[0].experiment  # type: ignore[attr-defined]
        self.eval()
        tokens, label = batch[0][0], batch[1][:1]
        drawn = self._draw(label, Sampling(top_k=min(TOP_K, self.prior.config.codebook)))
        likeliest = self._draw(label, Sampling(temperature=0))
        named = {"reconstructions": tokens, "samples_nopix": drawn, "samples_det": likeliest}
        for name, row in named.items():
            mel, sound = listen(unflatten(row[None].cpu(), self.prior.config.rows))
            board.add_image(f"{split}/{name}", mel_image(mel[0]), self.global_step, dataformats="HWC")
            board.add_audio(f"{split}/{name}_0", sound, self.global_step, sample_rate=listen.rate)
        board.add_text(f"{split}/conditioning", self.prior.config.labels[int(label)], self.global_step)
        self.train(training)

    def _draw(self, label: Tensor, sampling: Sampling) -> Tensor:
        (row,) = sample(
            self.prior.gpt,
            self.prior.conditioning(label),
            self.prior.conditioning.nothing(1),
            length=self.prior.length,
            end=self.prior.end,
            rows=self.prior.config.rows,
            sampling=sampling,
            streams=random_streams(0, 1),
        )
        return row


class Listener:
    """Codes → what is seen and heard of them."""

    def __init__(self, codec: Codec, vocoder: Any) -> None:
        self.codec, self.vocoder, self.rate = codec, vocoder, codec.scale.rate

    @torch.inference_mode()
    def __call__(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """grid [1, H, W] → mel [1, F, N] in [0, 1] and sound [1, T]."""
        mel = self.codec.detokenize(grid)
        sound: Tensor = self.vocoder(mel)
        return mel, sound
