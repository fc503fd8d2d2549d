"""The demo corpus's blows and bangs: drum, hammer, gun, fireworks. Struck bodies and shock waves."""

import numpy as np
from numpy.random import Generator

from melgpt.data import synthesis as s
from melgpt.data.synthesis import Wave

MEMBRANE = (1.0, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501, 3.600)
"""Frequencies of an ideal round membrane, over its lowest (zeros of the Bessel functions)."""
BAR = (1.0, 2.757, 5.404, 8.933, 13.34)
"""The same of a free metal bar."""


def drum(rng: Generator) -> Wave:
    """A short pattern on one or two drums: membrane modes that ring and fall, the click of the stick."""
    low, ring = rng.uniform(100, 220), rng.uniform(0.09, 0.28)
    drums = [(low, ring), (low * rng.uniform(1.4, 2.1), 0.7 * ring)]
    beat = 60 / rng.uniform(95, 190) / rng.choice([1, 2])
    second, rattle = rng.uniform(0, 0.5), rng.choice([0.0, 0.0, 1.0]) * rng.uniform(0.2, 0.5)
    steps = min(int(rng.integers(3, 9)), int(2.2 / beat))
    parts = []
    for step in range(max(steps, 1)):
        if step and rng.random() < 0.15:
            continue
        hertz, decay = drums[int(rng.random() < second)]
        accent = (1.0 if step % 2 == 0 else 0.65) * rng.uniform(0.8, 1)
        at = step * beat + (rng.uniform(0, 0.012) if step else 0)
        parts.append((at, accent * _drum_hit(rng, hertz, decay, rattle)))
    return s.mix(parts)


def _drum_hit(rng: Generator, hertz: float, decay: float, rattle: float) -> Wave:
    count = s.samples(min(6 * decay, 1.0))
    ratios = np.array(MEMBRANE) * rng.uniform(0.985, 1.015, len(MEMBRANE))
    gains = rng.uniform(0.4, 1, len(ratios)) / ratios
    body = s.modes(rng, count, list(hertz * ratios), decays=list(decay / ratios**0.6), gains=list(gains))
    # The skin is tighter while it is bent far: the pitch falls at first.
    fall = hertz * (1 + 0.5 * np.exp(-np.arange(count) / s.RATE / 0.03))
    body += 1.2 * s.tone(fall) * s.strike(count, 0.002, decay)
    stick = s.noise(rng, count, 500, 6000) * s.strike(count, 0.001, 0.008)
    snare = s.noise(rng, count, 2000) * s.strike(count, 0.003, 0.09)
    return s.level(body * s.strike(count, 0.001, 10.0) + 0.5 * stick + rattle * snare)


def hammer(rng: Generator) -> Wave:
    """Blows at a working rhythm on metal that rings or on wood that knocks; a nail rises in pitch."""
    metal = rng.random() < 0.6
    pause = 1 / rng.uniform(2.0, 4.5)
    blows = min(int(rng.integers(2, 9)), int(2.4 / pause))
    if metal:
        hertz = rng.uniform(700, 1700) * np.array(BAR) * rng.uniform(0.93, 1.07, len(BAR))
        hertz = np.concatenate([hertz, hertz[:3] * rng.uniform(1.03, 1.4)])
        decays = rng.uniform(0.06, 0.2) * (hertz[0] / hertz) ** 0.4
        gains = rng.uniform(0.3, 1, len(hertz))
    else:
        hertz = rng.uniform(260, 520) * np.array([1, 1.7, 2.6, 3.9, 5.3, 7.1]) * rng.uniform(0.93, 1.07, 6)
        decays = rng.uniform(0.018, 0.035) * (hertz[0] / hertz) ** 0.3
        gains = rng.uniform(0.4, 1, 6) / np.arange(1, 7) ** 0.5
    rise = rng.uniform(1.0, 1.03)
    parts = []
    for number in range(max(blows, 1)):
        count = s.samples(0.6 if metal else 0.25)
        pitch = rise**number * rng.uniform(0.998, 1.002)
        hit = gains * rng.uniform(0.7, 1.3, len(gains))
        body = s.modes(rng, count, list(hertz * pitch), decays=list(decays), gains=list(hit))
        click = s.noise(rng, count, 1500) * s.strike(count, 0.0005, 0.004)
        thud = s.tone(np.full(count, 130.0)) * s.strike(count, 0.002, 0.03)
        blow = s.level(body) + 0.7 * s.level(click) + 0.4 * thud
        at = number * pause * rng.uniform(0.96, 1.04)
        parts.append((at, blow * rng.uniform(0.65, 1)))
    return s.mix(parts)


def gun(rng: Generator) -> Wave:
    """Single shots or a short burst: a shock, the muzzle's roar, echoes from afar."""
    burst = rng.random() < 0.3
    shots = int(rng.integers(4, 9) if burst else rng.integers(1, 4))
    pause = 1 / rng.uniform(8, 12) if burst else rng.uniform(0.45, 0.9)
    roar = rng.uniform(0.03, 0.06) if burst else rng.uniform(0.06, 0.14)
    dullness = rng.uniform(900, 3500)
    far = [(rng.uniform(0.09, 0.5), rng.uniform(0.05, 0.3)) for _ in range(rng.integers(1, 5))]
    parts = []
    for number in range(shots):
        at = number * pause * rng.uniform(0.98, 1.02)
        if at > 1.8:
            break
        shot = _shot(rng, roar, dullness) * rng.uniform(0.85, 1)
        parts.append((at, shot))
        parts += [(at + delay, gain * s.level(s.dull(shot, 700))) for delay, gain in far]
    return s.mix(parts)


def _shot(rng: Generator, roar: float, dullness: float) -> Wave:
    count = s.samples(8 * roar)
    shock = s.samples(rng.uniform(0.0008, 0.002))
    wave = s.dull(s.noise(rng, count), dullness) * s.strike(count, 0.0004, roar)
    wave = s.level(wave) + 0.8 * s.noise(rng, count) / 3 * s.strike(count, 0.0003, 0.012)
    wave += 0.7 * s.noise(rng, count, 0, 220) / 3 * s.strike(count, 0.004, 1.5 * roar)
    wave[:shock] += np.linspace(1.4, -1.4, shock)
    return s.level(wave)


def fireworks(rng: Generator) -> Wave:
    """A rocket's whistle, the boom, and the crackle of what falls."""
    parts, at = [], 0.0
    if rng.random() < 0.85:
        count = s.samples(rng.uniform(0.35, 0.9))
        start = rng.uniform(1300, 2600)
        pitch = start * s.curve([1, rng.uniform(1.05, 1.5), rng.uniform(0.8, 1.7)], count)
        pitch = pitch * (1 + 0.004 * s.drift(rng, count, 40))
        whistle = s.tone(pitch) + 0.25 * s.tone(2 * pitch) + 0.12 * s.noise(rng, count, 1000)
        parts.append((at, rng.uniform(0.2, 0.45) * s.level(whistle * s.swell(count, 0.12, 0.1))))
        at += count / s.RATE + rng.uniform(0.03, 0.15)
    count = s.samples(rng.uniform(0.6, 1.0))
    depth = rng.uniform(0.12, 0.28)
    boom = s.level(s.noise(rng, count, 0, rng.uniform(160, 420)) * s.strike(count, 0.006, depth))
    crack = s.dull(s.noise(rng, count), 1500) * s.strike(count, 0.002, 0.05)
    parts.append((at, boom + 0.6 * s.level(crack)))
    span = rng.uniform(0.5, 1.2)
    start = at + rng.uniform(0.08, 0.3)
    for delay in rng.beta(1.2, 2.2, rng.integers(25, 90)) * span:
        spark = s.samples(rng.uniform(0.004, 0.02))
        snap = s.noise(rng, spark, rng.uniform(1800, 4200)) * s.strike(spark, 0.0003, 0.003)
        parts.append((start + delay, rng.uniform(0.08, 0.5) * s.level(snap)))
    return s.mix(parts)
