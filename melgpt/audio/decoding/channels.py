"""Several channels become one: their mean, or the loudest of them where they cancel each other."""

import numpy as np

from melgpt.audio.decoding.block import Block, Samples

CANCELLED = 0.01
"""Power of the mean over that of the channels, below which they cancel each other: -20 dB."""
AUDIBLE = 1e-10
"""Mean power of the channels above which a window counts: -100 dB of full scale."""
WINDOW_SECONDS = 0.1
AVERAGE_SECONDS = 0.025
"""What changes more slowly than this is an offset or a rumble, and no sound."""
FADE_SECONDS = 0.01


class Mixer:
    """Mixes the blocks of one sound down, and counts for how long its channels cancel each other."""

    def __init__(self) -> None:
        self.cancelled = 0.0
        """Seconds in which one channel stands for all."""
        self._cancels = False

    def mono(self, block: Block) -> Samples:
        """Samples [T] of a block; between mean and channel there is a short fade."""
        samples, rate = block.samples, block.rate
        if samples.shape[1] == 1:
            return samples[:, 0]
        mean = samples.mean(1, dtype=np.float32)
        window = max(1, min(len(mean), round(WINDOW_SECONDS * rate)))
        levels = np.stack([_variances(channel, window) for channel in samples.T])
        level = levels.mean(0)
        heard = _powers(_without_rumble(mean, rate), window)
        cancels = self._held(level > AUDIBLE, heard < CANCELLED * level)
        if not cancels.any():
            return mean
        loudest = samples[:, int(levels[:, cancels].sum(1).argmax())]
        share = np.repeat(cancels.astype(np.float32), window)
        share = np.pad(share, (0, len(mean) - len(share)), mode="edge")
        share = _averaged(share, round(FADE_SECONDS * rate))
        self.cancelled += float(share.sum()) / rate
        mixed: Samples = mean + share * (loudest - mean)
        return mixed

    def finding(self) -> str:
        """What was found, in words; empty where no channels cancel each other."""
        return f"for {self.cancelled:.1f} s, where the loudest one is taken" if self.cancelled else ""

    def _held(self, audible: np.ndarray, cancels: np.ndarray) -> np.ndarray:
        """Whether the channels cancel in each window; silent windows are like the one before them."""
        places = np.where(audible, np.arange(len(audible)), -1)
        last = np.maximum.accumulate(places)
        held = np.where(last >= 0, cancels[last], self._cancels)
        self._cancels = bool(held[-1])
        return held


def _without_rumble(samples: Samples, rate: int) -> Samples:
    """Samples [T] less what changes slowly, taken away twice so that 12 Hz is 34 dB down."""
    for _ in range(2):
        samples = samples - _averaged(samples, round(AVERAGE_SECONDS * rate))
    return samples


def _averaged(samples: Samples, size: int) -> Samples:
    """Samples [T], each the mean of `size` around it."""
    from scipy.ndimage import uniform_filter1d  # opens scipy, which takes as long as opening a model

    averaged: Samples = uniform_filter1d(samples, max(1, size), mode="nearest")
    return averaged


def _windows(samples: Samples, window: int) -> Samples:
    count = len(samples) // window
    return samples[: count * window].reshape(count, window)


def _powers(samples: Samples, window: int) -> Samples:
    """Mean power of each whole window of samples [T]; at least one."""
    windows = _windows(samples, window)
    return np.einsum("nt,nt->n", windows, windows) / window


def _variances(samples: Samples, window: int) -> Samples:
    """The same without the mean of each window."""
    return np.maximum(_powers(samples, window) - _windows(samples, window).mean(1) ** 2, 0)
