"""Mel pictures: one as a PNG with axes, many as a contact sheet, one as pixels for TensorBoard.

matplotlib is imported when the first picture is drawn, and used through its objects alone: no pyplot, no
window system, no state that two threads would share.
"""

import functools
import logging
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from melgpt.audio.mel import mel_filterbank
from melgpt.errors import UserError, in_short
from melgpt.paths import atomic
from melgpt.types import MelScale

COLOURS = "magma"
"""A perceptually even colour map of matplotlib: dark is 0, bright is 1."""
TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
CROWDED = 0.07
"""Smallest distance of two ticks, as a share of the picture's height."""
DOTS_PER_INCH = 120
FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Hiragino Sans", "Microsoft YaHei", "Arial")
"""Fonts for the user's own words; those that are installed fill the gaps of the first one."""
INK, PAPER = "#333333", "white"
MOST_LETTERS = 24
"""Letters of a row's label on a contact sheet; a longer one would leave no room for the mels."""


@functools.cache
def open_matplotlib() -> None:
    """Import it, its messages switched off: they are about its own folders and fonts.

    Called before work that ends with a picture. Raises UserError where it has no folder that it can write.
    """
    log = logging.getLogger("matplotlib")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)
    try:
        import matplotlib.font_manager  # noqa: F401
    except OSError as error:
        raise UserError(
            f"no folder for temporary files can be written, set TMPDIR to one that can ({in_short(error)})"
        ) from None


def save_mel(
    path: Path, values: Tensor, scale: MelScale, title: str = "", seconds: float | None = None
) -> None:
    """One mel, values [F, N] in [0, 1], as a PNG; see `draw_mel`."""
    _save(draw_mel(values, scale, title, seconds), path)


def draw_mel(values: Tensor, scale: MelScale, title: str = "", seconds: float | None = None) -> Any:
    """One mel, values [F, N] in [0, 1], as a matplotlib figure with seconds along and Hz up.

    seconds: how long it is, where a value stands for more than a frame. A notebook shows the figure.
    """
    seconds = values.shape[-1] / scale.frames_per_second if seconds is None else seconds
    width = min(max(3.2, 1.9 + 1.3 * seconds), 12.0)
    figure = _figure(width, 3.0)
    axes = figure.add_subplot()
    picture = _draw(axes, values, seconds, seconds)
    _label_hz(axes, scale)
    axes.set_xlabel("seconds", fontsize=9, color=INK)
    axes.set_ylabel("Hz", fontsize=9, color=INK)
    axes.set_title(_plain(title, round(12 * width)), loc="left", fontsize=10, **_words())
    bar = figure.colorbar(picture, ax=axes, pad=0.015, aspect=28, ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=0, colors=INK)
    return figure


def show_or_save(
    path: Path | str | None, values: Tensor, scale: MelScale, title: str = "", seconds: float | None = None
) -> Any:
    """The figure of `draw_mel`, or None and a PNG where a path is given."""
    if path is None:
        return draw_mel(values, scale, title, seconds)
    return save_mel(Path(path), values, scale, title, seconds)


def contact_sheet(
    path: Path, rows: list[tuple[str, list[Tensor]]], scale: MelScale, heads: tuple[str, ...] = ()
) -> None:
    """A PNG with a row a class: `rows` of (label, mels [F, N] in [0, 1]), all on one scale of seconds.

    heads: words above the first columns, one each.
    """
    columns = max((len(mels) for _, mels in rows), default=0)
    if columns == 0:
        raise ValueError("a contact sheet needs at least one mel")
    longest = max(mel.shape[-1] for _, mels in rows for mel in mels) / scale.frames_per_second
    figure = _figure(1.0 + 1.75 * columns, 0.45 + 1.05 * len(rows))
    grid = figure.subplots(len(rows), columns, squeeze=False, sharex=True, sharey=True)
    for axes, (label, mels) in zip(grid, rows, strict=True):
        axes[0].set_ylabel(
            _plain(label), rotation=0, ha="right", va="center", fontsize=11, labelpad=8, **_words()
        )
        for cell, mel in zip(axes[: len(mels)], mels, strict=True):
            _draw(cell, mel, mel.shape[-1] / scale.frames_per_second, longest)
        for cell in axes:
            cell.set_facecolor("#f2f2f2")
            cell.set_yticks([])
            cell.tick_params(labelsize=7, length=2 if axes[0] is grid[-1, 0] else 0)
        for cell in axes[len(mels) :]:
            cell.set_visible(False)
    for cell, head in zip(grid[0][: len(heads)], heads, strict=True):
        cell.set_title(_plain(head), loc="left", fontsize=10, **_words())
    figure.supxlabel(f"seconds ({scale.f_min:.0f} to {scale.f_max:.0f} Hz upwards)", fontsize=8, color=INK)
    _save(figure, path)


def mel_image(values: Tensor) -> NDArray[np.uint8]:
    """Pixels [H, W, 3] of a mel, values [F, N] in [0, 1]: one a value, low frequencies at the bottom."""
    open_matplotlib()
    import matplotlib

    shades = values.detach().float().cpu().clamp(0, 1).flip(0).numpy()
    return np.asarray(matplotlib.colormaps[COLOURS](shades, bytes=True)[..., :3])


def band_centres(scale: MelScale) -> NDArray[np.float32]:
    """Centre frequency in Hz of each band [F], rising: where the weight of its filter lies."""
    bank = mel_filterbank(scale).numpy()
    hz = np.linspace(0, scale.rate / 2, bank.shape[1], dtype=np.float32)
    weight = bank.sum(1)
    # A band so narrow that it covers no bin takes its lower neighbour's centre.
    return np.maximum.accumulate(bank @ hz / np.maximum(weight, 1e-12))


def hz_ticks(scale: MelScale, crowded: float = CROWDED) -> list[tuple[float, str]]:
    """Round frequencies for an axis, falling: the (fractional) band of each, and how it is written.

    crowded: smallest distance of two, as a share of the picture's height.
    """
    centres = band_centres(scale)
    shown: list[tuple[float, str]] = []
    for hz in (hz for hz in TICKS_HZ[::-1] if centres[0] <= hz <= centres[-1]):
        height = float(np.interp(hz, centres, np.arange(len(centres))))
        # The scale is linear at the bottom: leave out what would be printed over its neighbour.
        if not shown or shown[-1][0] - height > crowded * len(centres):
            shown.append((height, f"{hz}" if hz < 1000 else f"{hz // 1000}k"))
    return shown


def _figure(width: float, height: float) -> Any:
    """An empty figure of so many inches that only knows how to become a PNG."""
    open_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Picture(Figure):
        def _repr_png_(self) -> bytes:
            """By which a notebook shows it."""
            file = BytesIO()
            _write(self, file)
            return file.getvalue()

    figure = Picture(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def _words() -> dict[str, Any]:
    """How the user's own words are drawn: in any script, and a dollar sign as a dollar sign."""
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return {
        "color": INK,
        "family": [font for font in FONTS if font in installed],
        "parse_math": False,
    }


def _plain(text: str, most: int = MOST_LETTERS) -> str:
    """A label as one line of at most so many letters."""
    return in_short(text, most)


def _draw(axes: Any, values: Tensor, end: float, seconds: float) -> Any:
    """A mel of `end` seconds in band numbers up and seconds along, in a cell that is `seconds` wide."""
    bands = len(values)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(labelsize=8, length=2.5, color=INK, labelcolor=INK)
    picture = axes.imshow(
        values.detach().float().cpu().numpy(),
        origin="lower",
        aspect="auto",
        extent=(0, end, -0.5, bands - 0.5),
        cmap=COLOURS,
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    axes.set_xlim(0, seconds)
    return picture


def _label_hz(axes: Any, scale: MelScale) -> None:
    ticks = hz_ticks(scale)
    axes.set_yticks([height for height, _ in ticks], [words for _, words in ticks])


def _save(figure: Any, path: Path) -> None:
    with atomic(path) as temporary:
        _write(figure, temporary)


def _write(figure: Any, file: Any) -> None:
    with warnings.catch_warnings():
        # A label in a script that no installed font has is drawn as boxes; the file names carry it, too.
        warnings.simplefilter("ignore")
        figure.savefig(file, format="png", metadata={"Software": None})
