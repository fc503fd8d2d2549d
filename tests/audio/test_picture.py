"""Mel pictures are PNG files of a sensible size, and pixels that stand the right way up."""

import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from melgpt.audio.picture import band_centres, contact_sheet, draw_mel, mel_image, save_mel
from melgpt.types import PRESETS, MelScale

SCALE = MelScale()


def size(path: Path) -> tuple[int, int]:
    """Width and height in the header of a PNG."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:])
    return width, height


def test_low_frequencies_are_at_the_bottom_and_loud_is_bright() -> None:
    values = torch.zeros(80, 30)
    values[:5, 10:] = 1.0
    pixels = mel_image(values)
    assert pixels.shape == (80, 30, 3)
    assert pixels.dtype == np.uint8
    assert pixels[-1, 20].sum() > 500
    assert pixels[0, 20].sum() < 20
    assert pixels[-1, 5].sum() < 20


def test_longer_sounds_make_wider_pictures(tmp_path: Path) -> None:
    for seconds in (1, 5, 60):
        save_mel(tmp_path / f"{seconds}.png", torch.rand(80, seconds * 86), SCALE, title=f"{seconds} s")
    widths = [size(tmp_path / f"{seconds}.png")[0] for seconds in (1, 5, 60)]
    assert widths == sorted(set(widths))
    assert widths[-1] < 2000


def test_a_contact_sheet_takes_rows_of_different_lengths(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "sheet.png"
    contact_sheet(
        path, [("dog", [torch.rand(80, 40), torch.rand(80, 90)]), ("Hündin", [torch.rand(80, 10)])], SCALE
    )
    width, height = size(path)
    assert 300 < width < 1000
    assert 200 < height < 600
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]


def test_an_empty_contact_sheet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet(tmp_path / "sheet.png", [("dog", [])], SCALE)


def test_pictures_can_be_drawn_by_several_threads(tmp_path: Path) -> None:
    values = torch.rand(80, 40)
    save_mel(tmp_path / "alone.png", values, SCALE)
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda path: save_mel(path, values, SCALE), paths))
    assert {path.read_bytes() for path in paths} == {(tmp_path / "alone.png").read_bytes()}


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_band_centres_rise_through_the_whole_band(preset: str) -> None:
    scale = MelScale.preset(preset)
    centres = band_centres(scale)
    assert len(centres) == scale.n_mels
    assert (np.diff(centres) >= 0).all()
    assert scale.f_min <= centres[0] < centres[-1] < scale.f_max


@pytest.mark.parametrize(
    "label",
    ["x" * 200, "a$b$c", "$\\frac{$", "犬の声 🐕 ሰላም", "two\nlines", "\N{COMBINING ACUTE ACCENT}" * 50],
)
def test_labels_of_all_kinds_are_drawn_without_a_word(
    label: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    mel = torch.rand(80, 60)
    save_mel(tmp_path / "mel.png", mel, SCALE, title=label)
    contact_sheet(tmp_path / "sheet.png", [(label, [mel, mel])], SCALE, heads=(label, label))
    assert (capsys.readouterr(), len(recwarn)) == (("", ""), 0)
    assert size(tmp_path / "mel.png")[0] > 300


def test_a_picture_without_a_path_is_a_figure_that_a_notebook_shows() -> None:
    figure = draw_mel(torch.rand(80, 60), SCALE, "dog")
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert figure.axes[0].get_title("left") == "dog"


def _draw_alone(folder: Path, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """A picture drawn by a process of its own, which has not opened matplotlib yet."""
    code += "import sys, torch; from pathlib import Path; from melgpt.types import MelScale\n"
    code += "from melgpt.audio.picture import save_mel\n"
    code += "save_mel(Path(sys.argv[1]), torch.rand(80, 60), MelScale())"
    return subprocess.run(
        [sys.executable, "-c", code, str(folder / "a.png")],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_closed_folders_of_matplotlibs_are_no_matter(tmp_path: Path) -> None:
    closed = {name: "/proc/none" for name in ("MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    done = _draw_alone(tmp_path, **closed)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "a.png").is_file()


def test_no_folder_for_temporary_files_is_told(tmp_path: Path) -> None:
    closed = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/proc/none']\n"
    done = _draw_alone(tmp_path, closed, MPLCONFIGDIR="/proc/none")
    assert done.stderr.splitlines()[-1].startswith(
        "melgpt.errors.UserError: no folder for temporary files can be written, set TMPDIR to one that can"
    )
