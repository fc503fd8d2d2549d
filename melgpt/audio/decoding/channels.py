"""Several channels become one: their mean, or the loudest of them where they cancel each other."""

import numpy as np

from melgpt.audio.decoding.block import Block, Samples

CANCELLED = 0.01
"""Power of the mean over the mean power of the channels, below which they cancel each other: -20 dB."""
AUDIBLE = 1e-10
"""Mean power of the channels above which a window counts: -100 dB of full scale."""
WINDOW_SECONDS = 0.1


class Mixer:
    """Mixes the blocks of one sound down, and remembers how much of it was cancelled."""

    def __init__(self) -> None:
        self.replaced = 0.0
        """Seconds in which one channel stands for all."""
        self.cancelled = 0.0
        """Seconds in which the mean was kept although the channels cancel each other."""

    def mono(self, block: Block) -> Samples:
        """Samples [T] of a block. Decided for a whole block, so that nothing is switched inside it."""
        samples = block.samples
        if samples.shape[1] == 1:
            return samples[:, 0]
        mean = samples.mean(1, dtype=np.float32)
        window = max(1, min(len(mean), round(WINDOW_SECONDS * block.rate)))
        channels = np.stack([_powers(channel, window) for channel in samples.T])
        level = channels.mean(0)
        audible = level > AUDIBLE
        lost = audible & (_powers(mean, window) < CANCELLED * level)
        if 2 * lost.sum() > audible.sum():
            self.replaced += len(mean) / block.rate
            return np.ascontiguousarray(samples[:, int(channels.sum(1).argmax())])
        self.cancelled += float(lost.sum()) * window / block.rate
        return mean

    def finding(self) -> str:
        """What was found, in words; empty where no channels cancel each other."""
        words = []
        if self.replaced:
            words.append(f"the loudest one is taken for {self.replaced:.1f} s")
        if self.cancelled:
            words.append(f"{self.cancelled:.1f} s of their mean are nearly silent")
        return ", ".join(words)


def _powers(samples: Samples, window: int) -> Samples:
    """Mean power of each whole window of samples [T]; at least one."""
    count = len(samples) // window
    windows = samples[: count * window].reshape(count, window)
    return np.einsum("nt,nt->n", windows, windows) / window
