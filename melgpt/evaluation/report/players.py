"""A sound to be heard and seen: its mel with axes above a player, both inside the page."""

import base64
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from melgpt.audio.picture import COLOURS, hz_ticks, open_matplotlib
from melgpt.evaluation.report.markup import Markup, tag
from melgpt.evaluation.report.png import palette_png
from melgpt.types import Mel

MOST_COLUMNS = 640
"""Columns of a picture at most; longer mels are averaged down to it."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 340, 150, 30, 6, 4, 18
"""Sizes of a mel picture and of the margins that hold its axes, in SVG units."""
STEPS_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
MOST_TICKS = 6
HEARD_AS = {"real against real": "real"}
"""What a single sound of a row is called; the row compares two sets."""


@dataclass(frozen=True)
class Card:
    """One sound as it is shown, with the sound file that the page takes in."""

    row: str
    label: str
    title: str
    index: int | None
    seconds: float
    file: Path
    mel: Mel
    picked: bool = False


def card(sound: Card, *, head: str | None = None, note: str | None = None) -> Markup:
    """Mel, player and title of a sound; `head` stands first, `note` last."""
    head = head or HEARD_AS.get(sound.row, sound.row)
    name = f"{head}: {sound.title}"
    caption = tag(
        "figcaption",
        tag("strong", head),
        tag("span", sound.title),
        tag("span", f"{sound.seconds:.1f} s{' · ' + note if note else ''}", class_="quiet"),
    )
    picture = mel_picture(sound.mel, sound.seconds, name)
    return tag("figure", caption, picture, player(sound.file, name), class_="sound")


def player(file: Path, name: str) -> Markup:
    """The browser's own player with the sound inside the page."""
    return tag(
        "audio", controls=True, preload="none", aria_label=name, src=f"data:audio/ogg;base64,{_base64(file)}"
    )


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode("ascii")


def mel_picture(mel: Mel, seconds: float, name: str) -> Markup:
    """A mel [1, F, N] as an SVG: the picture inside, Hz up and seconds along in the colours of the page."""
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    bands = mel.values.shape[1]
    image = base64.b64encode(_png(mel)).decode("ascii")
    parts = [
        tag(
            "image",
            href=f"data:image/png;base64,{image}",
            x=LEFT,
            y=TOP,
            width=width,
            height=height,
            preserveAspectRatio="none",
        )
    ]
    for band, words in hz_ticks(mel.scale, crowded=11 / height):
        y = TOP + height * (1 - (band + 0.5) / bands)
        parts.append(tag("text", words, x=LEFT - 4, y=y + 3, text_anchor="end"))
    for second in _ticks(seconds):
        anchor = "start" if second == 0 else "middle"
        x = LEFT + width * second / seconds
        words = f"{second:g} s" if second == 0 else f"{second:g}"
        parts.append(tag("text", words, x=x, y=HEIGHT - 4, text_anchor=anchor))
    parts.append(tag("line", class_="cursor", x1=LEFT, x2=LEFT, y1=TOP, y2=TOP + height))
    parts.append(tag("text", "Hz", x=LEFT - 4, y=HEIGHT - 4, text_anchor="end"))
    return tag(
        "svg",
        *parts,
        class_="mel",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"Mel spectrogram, {name}",
        data_left=LEFT,
        data_width=width,
    )


def _ticks(seconds: float) -> list[float]:
    """Round times from 0 to the end, MOST_TICKS at most, none so late that it would be cut off."""
    step = next((step for step in STEPS_SECONDS if seconds / step < MOST_TICKS), STEPS_SECONDS[-1])
    return [step * place for place in range(int(0.98 * seconds / step) + 1)]


def _png(mel: Mel) -> bytes:
    open_matplotlib()
    import matplotlib

    values = mel.values[0].detach().float().cpu()
    if values.shape[-1] > MOST_COLUMNS:
        values = torch.nn.functional.adaptive_avg_pool1d(values, MOST_COLUMNS)
    places = (values.clamp(0, 1).flip(0) * 255).round().to(torch.uint8).numpy()
    palette = matplotlib.colormaps[COLOURS](np.arange(256, dtype=np.uint8), bytes=True)[:, :3]
    return palette_png(places, palette)
