"""Figures of a trained model, each beside the plain baseline that it must beat."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from melgpt.codec.codec import Codec
from melgpt.data.code_store import CodeStore
from melgpt.data.features import Videos
from melgpt.data.store import Store, spread
from melgpt.decoders.base import MelDecoder
from melgpt.decoders.pieces import Noise
from melgpt.gpt.prior import Prior
from melgpt.losses.reconstruction import mel_l1
from melgpt.quantizers.usage import counts, perplexity

MOST_CLIPS = 1000
"""A validation measure looks at no more clips than this, spread over the set."""
MOST_REFINED = 50
"""Clips that go through a decoder, which takes longer."""


@torch.inference_mode()
def codec_measures(codec: Codec, store: Store, split: str = "valid") -> dict[str, float]:
    """Mel L1 of a split's clips beside the mean-mel baseline (each band's training mean at every frame).

    Errors are in units of the [0, 1] mel, averaged over all frames of all clips. Also the use of the codes.
    """
    device = next(codec.parameters()).device
    mean = torch.from_numpy(_mean_mel(store))[:, None]
    error = baseline = 0.0
    frames = 0
    count = torch.zeros(codec.codebook_size)
    for row in spread(store.rows(split), MOST_CLIPS):
        mel = store.values(int(row))
        codes = codec.tokenize(mel[None].to(device))
        restored = codec.detokenize(codes)[0, :, : mel.shape[1]].cpu()
        error += float(mel_l1(restored, mel)) * mel.shape[1]
        baseline += float(mel_l1(mean.expand_as(mel), mel)) * mel.shape[1]
        count += counts(codes.cpu(), codec.codebook_size)
        frames += mel.shape[1]
    rate = codec.config.rows * codec.scale.frames_per_second / codec.config.network.token_size[1]
    return {
        "mel_l1": error / frames,
        "mean_mel_l1": baseline / frames,
        "codes": codec.codebook_size,
        "codes_used": int((count > 0).sum()),
        "perplexity": float(perplexity(count)),
        "tokens_per_second": rate,
        "bits_per_second": rate * math.log2(codec.codebook_size),
    }


@torch.inference_mode()
def decoder_measures(
    codec: Codec, decoder: MelDecoder, store: Store, split: str = "valid"
) -> dict[str, float]:
    """Mel L1 of a split's clips through codec and decoder, and how much detail codec and decoder leave.

    Detail is what a mel has beside its own mean over 5 bands and 5 frames, as a share of the real mels': less
    than 1 is blurred, more is too rough. Takes no more than MOST_REFINED clips.
    """
    device = next(codec.parameters()).device
    decoder = decoder.to(device)
    error = 0.0
    frames = 0
    energy = {"real": 0.0, "codec": 0.0, "decoder": 0.0}
    for row in spread(store.rows(split), MOST_REFINED):
        mel = store.values(int(row))
        z = codec.quantizer.lookup(codec.tokenize(mel[None].to(device)))
        smooth = codec.mel_of(z)
        noise = Noise.of_take([int(row)], 0, codec.scale.n_mels).next(smooth.shape[-1])
        made = decoder.refine(smooth, z, noise.to(device))
        heard = {
            "real": mel,
            **{n: m[0, :, : mel.shape[1]].cpu() for n, m in (("codec", smooth), ("decoder", made))},
        }
        error += float(mel_l1(heard["decoder"], mel)) * mel.shape[1]
        for name, values in heard.items():
            energy[name] += float(detail(values).square().sum())
        frames += mel.shape[1]
    real = max(energy["real"], 1e-12)
    return {
        "mel_l1": error / frames,
        "codec_detail": energy["codec"] / real,
        "detail": energy["decoder"] / real,
    }


def detail(mel: torch.Tensor) -> torch.Tensor:
    """What a mel [F, N] has beside its mean over 5 bands and 5 frames."""
    mean = F.avg_pool2d(mel[None, None], 5, stride=1, padding=2, count_include_pad=False)[0, 0]
    return mel - mean


@torch.inference_mode()
def prior_measures(
    prior: Prior, train: CodeStore, valid: CodeStore, videos: Videos | None = None
) -> dict[str, float]:
    """Bits a token on validation: the prior, the tables that it must beat, and the prior with a wrong class.

    With videos also the prior that is shown the video of another clip.

    The tables count the training codes by row, and by class and row; the latter is smoothed towards the
    former by the amount that suits the validation set best, so that it is as strong as it can be.
    """
    by_class = _table(prior, train)
    right = wrong = wrong_video = 0.0
    tokens = 0
    table_bits: dict[float, float] = dict.fromkeys((1.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 1e9), 0.0)
    by_row = by_class.sum(0)
    row_share = (by_row + 0.5) / (by_row + 0.5).sum(-1, keepdims=True)
    for number in spread(np.arange(len(valid)), MOST_CLIPS):
        sequence, label = valid.sequence(int(number), prior.end)
        labels = len(prior.config.labels)
        video = _video(valid, videos, int(number))
        right += _bits(prior, sequence, label, video)
        if videos is not None:
            other = _video(valid, videos, int(number) + max(1, len(valid) // 2))
            wrong_video += _bits(prior, sequence, label, other)
        # Every wrong class in turn over the clips, so that none is special.
        wrong += _bits(prior, sequence, (label + 1 + int(number) % max(labels - 1, 1)) % labels, video)
        rows = np.arange(len(sequence)) % prior.config.rows
        for weight in table_bits:
            table = by_class[label][rows]
            share = (table + weight * row_share[rows]) / (table.sum(-1, keepdims=True) + weight)
            table_bits[weight] -= float(np.log2(share[np.arange(len(sequence)), sequence.numpy()]).sum())
        tokens += len(sequence)
    return {
        "bits_per_token": right / tokens,
        **({} if videos is None else {"wrong_video_bits": wrong_video / tokens}),
        "class_row_table_bits": min(table_bits.values()) / tokens,
        "row_table_bits": table_bits[1e9] / tokens,
        "wrong_class_bits": wrong / tokens,
        "uniform_bits": math.log2(prior.config.codebook),
    }


def _table(prior: Prior, train: CodeStore) -> NDArray[np.float64]:
    """Counts of the training tokens [classes, H, vocabulary]."""
    table = np.zeros((len(prior.config.labels), prior.config.rows, prior.gpt.vocabulary))
    for number in range(len(train)):
        sequence, label = train.sequence(number, prior.end)
        np.add.at(table[label], (np.arange(len(sequence)) % prior.config.rows, sequence.numpy()), 1)
    return table


def row_counts(prior: Prior, train: CodeStore) -> torch.Tensor:
    """How often each code stands in each row of the training codes, [H, vocabulary] float32."""
    return torch.from_numpy(_table(prior, train).sum(0)).float()


def _video(codes: CodeStore, videos: Videos | None, number: int) -> torch.Tensor | None:
    """What is shown of the video of a sequence, [1, T, D]; None where the prior sees none."""
    return None if videos is None else videos(int(codes.index[number % len(codes)]["row"]))[None]


def _bits(prior: Prior, sequence: torch.Tensor, label: int, video: torch.Tensor | None) -> float:
    device = prior.gpt.head.weight.device
    shown = None if video is None else video.to(device)
    told = torch.tensor([label], device=device)
    logits = prior(sequence[None, :-1].to(device), told, shown)[0].cpu().double()
    return float(-logits.log_softmax(-1)[torch.arange(len(sequence)), sequence].sum()) / math.log(2)


def _mean_mel(store: Store) -> NDArray[np.float32]:
    """Mean of each band over the training frames, [F]."""
    total, frames = np.zeros(store.scale.n_mels), 0
    for row in spread(store.rows("train"), MOST_CLIPS):
        mel = store.mel(int(row))
        total += mel.sum(0, dtype=np.float64)
        frames += len(mel)
    return (total / max(frames, 1)).astype(np.float32)
