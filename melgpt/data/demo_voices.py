"""The demo corpus's voices: dog, baby, sneeze, cough. A source (throat or breath) through resonances."""

import numpy as np
from numpy.random import Generator

from melgpt.data import synthesis as s
from melgpt.data.synthesis import Wave


def dog(rng: Generator) -> Wave:
    """One to five barks of one dog: a strained voice that jumps up and falls, the mouth opening with it."""
    size = rng.uniform(0, 1)  # 0 is a terrier, 1 is a mastiff
    base = 700 * (230 / 700) ** size * rng.uniform(0.9, 1.1)
    length = rng.uniform(0.1, 0.16) + 0.08 * size
    gap = rng.uniform(0.12, 0.45)
    parts, at = [], 0.0
    for _ in range(rng.integers(1, 6)):
        bark = _bark(rng, base * rng.uniform(0.94, 1.06), length * rng.uniform(0.85, 1.15), size)
        if at + len(bark) / s.RATE > 2.5:
            break
        parts.append((at, bark * rng.uniform(0.6, 1)))
        at += len(bark) / s.RATE + gap * rng.uniform(0.8, 1.3)
    return s.mix(parts)


def _bark(rng: Generator, base: float, seconds: float, size: float) -> Wave:
    count = s.samples(seconds)
    top = rng.uniform(1.15, 1.4)
    pitch = base * s.curve([0.75, top, 0.95 * top, 0.85, 0.6], count)
    voice = s.glottis(rng, pitch, slope=0.7, roughness=rng.uniform(0.2, 0.8))
    breath = 0.5 * s.noise(rng, count, 400) * s.strike(count, 0.01, 0.06)
    longer = 1 / (0.75 + 0.45 * size)  # a longer muzzle has lower resonances
    opening = s.curve([0, 1, 0.8, 0.1], count)
    shut, wide = np.array([450, 1150, 2500, 4100]), np.array([1050, 1750, 3000, 4800])
    wave = s.mouth(voice + breath, list(shut * longer), list(wide * longer), opening)
    return s.level(wave * s.curve([0, 1, 0.9, 0.45, 0], count))


def baby(rng: Generator) -> Wave:
    """One to three cries of half a second to a second, each after a short gasp: high, clear, wavering."""
    base = rng.uniform(380, 560)
    wave_hz, wave_depth = rng.uniform(5, 8), rng.uniform(0.01, 0.035)
    rough = rng.uniform(0, 0.5)
    shapes = ([0.8, 1.1, 1.15, 1.0, 0.7], [0.9, 1.0, 1.2, 1.25, 0.85], [1.15, 1.1, 1.0, 0.9, 0.7])
    shape = shapes[rng.integers(len(shapes))]
    parts, at = [], 0.0
    for number in range(rng.integers(1, 4)):
        seconds = rng.uniform(0.5, 1.0)
        if number and at + seconds + 0.3 > 2.7:
            break
        if number or rng.random() < 0.4:
            gasp = s.samples(rng.uniform(0.12, 0.22))
            air = s.noise(rng, gasp, 1500, 5500) * s.curve([0, 0.6, 1, 0], gasp)
            parts.append((at, rng.uniform(0.05, 0.15) * s.level(air)))
            at += gasp / s.RATE + rng.uniform(0.02, 0.08)
        count = s.samples(seconds)
        time = np.arange(count) / s.RATE
        bends = np.array(shape) * rng.uniform(0.94, 1.06, len(shape))
        waver = np.sin(2 * np.pi * wave_hz * time + rng.uniform(0, 6))
        vibrato = 1 + wave_depth * waver * np.minimum(time / 0.2, 1)
        voice = s.glottis(rng, base * s.curve(list(bends), count) * vibrato, slope=0.8, roughness=rough)
        voice += 0.04 * s.noise(rng, count, 2000)
        cry = s.mouth(
            voice, [700, 1900, 3400, 5200], [1150, 2600, 4000, 5900], s.curve([0.2, 1, 0.9, 0.3], count)
        )
        parts.append((at, s.level(cry * s.swell(count, 0.06, 0.15)) * rng.uniform(0.7, 1)))
        at += seconds + rng.uniform(0.08, 0.3)
    return s.mix(parts)


def sneeze(rng: Generator) -> Wave:
    """A breath drawn in ever harder, a pause, the burst: a hiss that opens into a falling vowel."""
    inhale = s.samples(rng.uniform(0.3, 0.75))
    centre = rng.uniform(900, 1700)
    drawn = s.noise(rng, inhale, centre, centre * 2.6) * s.curve([0, 0.15, 0.45, 1, 0], inhale)
    if rng.random() < 0.5:  # "ah" sounds along with the breath
        pitch = rng.uniform(180, 330) * s.curve([0.9, 1.0, 1.3], inhale)
        ah = s.formants(s.glottis(rng, pitch), [(800, 110, 1), (1300, 130, 0.5), (2700, 200, 0.2)])
        drawn = s.level(drawn) + 0.5 * s.level(ah * s.curve([0, 0.2, 0.6, 1, 0], inhale))
    pause = rng.uniform(0.03, 0.2)
    hiss_count = s.samples(rng.uniform(0.1, 0.2))
    low = rng.uniform(1800, 3000)
    hiss = s.noise(rng, hiss_count, low) * s.curve([0, 1, 0.8, 0.25, 0], hiss_count)
    vowel_count = s.samples(rng.uniform(0.2, 0.45))
    pitch = rng.uniform(220, 420) * s.curve([1.25, 1.0, 0.7, 0.5], vowel_count)
    source = s.glottis(rng, pitch, roughness=0.5) + 2.5 * s.noise(rng, vowel_count, 500)
    vowel = s.mouth(
        source, [330, 900, 2300, 3400], [600, 1500, 2500, 3600], s.curve([1, 0.4, 0], vowel_count)
    )
    vowel = s.level(vowel * s.strike(vowel_count, 0.015, rng.uniform(0.08, 0.16)))
    start = inhale / s.RATE + pause
    overlap = rng.uniform(0.5, 0.8) * hiss_count / s.RATE
    parts = [(0.0, rng.uniform(0.12, 0.35) * s.level(drawn)), (start, s.level(hiss))]
    return s.mix([*parts, (start + overlap, rng.uniform(0.6, 1) * vowel)])


def cough(rng: Generator) -> Wave:
    """One to four bursts: the glottis snaps open, air rushes through a low tube, a voice may close it."""
    tube = rng.uniform(0.85, 1.25)
    pitch_hz = rng.uniform(110, 260)
    voiced = rng.uniform(0.1, 0.8)
    interval = rng.uniform(0.28, 0.45)
    parts, at, strength = [], 0.0, 1.0
    for _ in range(rng.integers(1, 5)):
        count = s.samples(rng.uniform(0.17, 0.3))
        rush = s.noise(rng, count) * (
            s.strike(count, 0.003, 0.025) + 0.3 * s.curve([0, 0.8, 1, 0.4, 0], count)
        )
        pitch = pitch_hz * s.curve([1.2, 1.1, 0.9, 0.7], count)
        voice = s.glottis(rng, pitch, roughness=0.7) * s.curve([0.3, 0.1, 1, 0.7, 0], count)
        source = 2 * rush + voiced * voice
        peaks = [(480, 160, 1.0), (1250, 220, 0.8), (2400, 350, 0.45), (3600, 600, 0.25)]
        burst = s.formants(source, [(hz * tube, width, gain) for hz, width, gain in peaks])
        parts.append((at, strength * s.level(burst * s.swell(count, 0.002, 0.05))))
        at += interval * rng.uniform(0.85, 1.2)
        strength *= rng.uniform(0.65, 1.0)
    return s.mix(parts)
