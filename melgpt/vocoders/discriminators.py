"""What tells made sounds from real ones: by periods, by spectra at several resolutions, at several rates.

Periods: HiFi-GAN (Kong et al. 2020, https://arxiv.org/abs/2010.05646). Resolutions: UnivNet (Jang et al.
2021, https://arxiv.org/abs/2106.07889), as Vocos has them. Rates: MelGAN (Kumar et al. 2019,
https://arxiv.org/abs/1910.06711). Far smaller than the published ones, so that a CPU can train them.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from melgpt.config import KindConfig

LEAK = 0.2
Judged = list[Tensor]
"""The maps of each layer, the logits last."""


class SoundDiscriminatorConfig(KindConfig):
    """Which judges there are, and their size."""

    kind: str = "sound"
    """Registered name of the discriminator."""
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    """Each lays the samples out in so many columns and looks down each column."""
    resolutions: tuple[int, ...] = (512, 1024, 2048)
    """Windows of the spectra that are judged, in samples."""
    rates: int = Field(0, ge=0)
    """Judges of the samples at full, half, a quarter of the rate and so on: MelGAN has three."""
    channels: int = Field(16, ge=1)
    """Channels of the first layer of each."""


class SoundDiscriminator(nn.Module):
    """Samples [B, T] → the maps of each judge."""

    Config = SoundDiscriminatorConfig
    family = "discriminator"

    def __init__(self, config: SoundDiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        judges: list[nn.Module] = [_Period(period, config.channels) for period in config.periods]
        judges += [_Resolution(n_fft, config.channels) for n_fft in config.resolutions]
        judges += [_Rate(2**i, config.channels) for i in range(config.rates)]
        self.judges = nn.ModuleList(judges)

    def forward(self, samples: Tensor) -> list[Judged]:
        return [judge(samples) for judge in self.judges]


class _Period(nn.Module):
    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = period
        widths = [1, channels, 2 * channels, 4 * channels, 8 * channels]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (3, 1), padding=(2, 0))) for a, b in pairwise(widths)
        )
        self.last = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, samples: Tensor) -> Judged:
        samples = F.pad(samples, (0, -samples.shape[-1] % self.period))
        x = samples.unflatten(-1, (-1, self.period)).unsqueeze(1)  # [B, 1, T / period, period]
        return _through(x, self.layers, self.last)


class _Resolution(nn.Module):
    window: Tensor

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        strides = [(1, 1), (2, 1), (2, 1), (2, 2)]  # [time, frequency] is laid out as [frequency, time]
        inputs = [1, channels, channels, 2 * channels]
        outputs = [channels, channels, 2 * channels, 2 * channels]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (7, 3), stride, padding=(3, 1)))
            for a, b, stride in zip(inputs, outputs, strides, strict=True)
        )
        self.last = weight_norm(nn.Conv2d(outputs[-1], 1, 3, padding=1))

    def forward(self, samples: Tensor) -> Judged:
        spectrum = torch.stft(
            samples.float(), self.n_fft, self.n_fft // 4, window=self.window, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        # Logarithms, in which soft sounds count as loud ones do.
        return _through(power.add(1e-6).log()[:, None], self.layers, self.last)


class _Rate(nn.Module):
    """MelGAN's: grouped convolutions with large strides."""

    def __init__(self, down: int, channels: int) -> None:
        super().__init__()
        self.down = down
        layers = [weight_norm(nn.Conv2d(1, channels, (1, 15), padding=(0, 7)))]
        width = channels
        for _ in range(4):
            wider = min(4 * width, 64 * channels)
            groups = max(1, width // 4)
            layers.append(
                weight_norm(nn.Conv2d(width, wider, (1, 41), (1, 4), padding=(0, 20), groups=groups))
            )
            width = wider
        layers.append(weight_norm(nn.Conv2d(width, width, (1, 5), padding=(0, 2))))
        self.layers = nn.ModuleList(layers)
        self.last = weight_norm(nn.Conv2d(width, 1, (1, 3), padding=(0, 1)))

    def forward(self, samples: Tensor) -> Judged:
        x = samples[:, None]
        for _ in range(self.down.bit_length() - 1):
            x = F.avg_pool1d(x, 4, stride=2, padding=1, count_include_pad=False)
        return _through(x.unsqueeze(2), self.layers, self.last)


def _through(x: Tensor, layers: Iterable[nn.Module], last: Callable[[Tensor], Tensor]) -> Judged:
    x = x.contiguous(memory_format=torch.channels_last)
    maps = []
    for layer in layers:
        x = F.leaky_relu(layer(x), LEAK)
        maps.append(x)
    return [*maps, last(x)]
