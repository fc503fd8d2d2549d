"""The benchmarks time what they say: in turns, medians, and with the plain way computing the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.child import stream
from benchmarks.curves import Curve, fit
from benchmarks.generate_parts import arguments, make, timed_command
from benchmarks.measure import Row, in_turns
from benchmarks.memory import Command, forget_peak, peak_mib
from benchmarks.plots import plot
from benchmarks.subjects import SUBJECTS
from benchmarks.table import COLUMNS, line
from benchmarks.vocoder import flat
from melgpt import registry

ROOT = Path(__file__).parents[1]


def test_ways_are_timed_in_turns_after_one_round_that_does_not_count() -> None:
    called: list[str] = []
    times = in_turns({"plain": lambda: called.append("p"), "ours": lambda: called.append("o")}, 3)
    # Ours once more each time: it has its pages when it is timed.
    assert called == ["o", "p", "p", "o", "o", "o", "o", "p", "p", "o", "o"]
    assert {name: len(time.seconds) for name, time in times.items()} == {"plain": 3, "ours": 3}


def test_a_row_says_how_much_faster_and_how_near_the_limit() -> None:
    row = Row("x", plain=6.0, ours=2.0, limit=0.5)
    assert (row.ratio, row.fraction_of_limit) == (3.0, 0.25)
    bare = Row("x", plain=None, ours=2.0).plain_values()
    assert bare["ratio"] is None
    assert bare["fraction_of_limit"] is None


def test_the_plain_vocoder_makes_the_same_sound() -> None:
    config = registry.configure("vocoder", {"kind": "melgan", "ngf": 4, "residual_blocks": 2})
    ours = registry.build("vocoder", config).eval()
    mel = torch.rand(1, ours.scale.n_mels, 12)
    with torch.inference_mode():
        assert torch.allclose(flat(ours).eval()(mel), ours(mel), atol=1e-5)


@pytest.mark.parametrize("subject", ["startup"])
def test_the_command_prints_a_table_and_writes_json(subject: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", subject, "--quick", "--json", str(tmp_path / "out.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| melgpt --help |" in done.stdout
    content = json.loads((tmp_path / "out.json").read_text())
    assert set(content) == {"machine", "rows"}
    assert content["machine"]["read"] > 0
    assert {"load_start", "load_end"} <= set(content["machine"])
    wanted = {"name", "plain", "ours", "alternative", "unit", "ratio", "limit", "fraction_of_limit", "spread"}
    assert wanted | {"peak_mib"} <= set(content["rows"][0])
    empty, opened = (row["peak_mib"] for row in content["rows"])
    assert 5 < empty < 50 < opened, "torch's memory must be the second command's alone"


def test_every_subject_is_a_file_and_every_file_a_subject() -> None:
    helpers = {"__init__", "__main__", "measure", "machine", "subjects", "child", "memory", "table"}
    helpers |= {"curves", "plots", "generate_parts", "made_up_clips"}
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - helpers == set(SUBJECTS)


def test_an_unknown_subject_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "mels"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "unknown subject 'mels'" in done.stderr


@pytest.mark.parametrize("file", [".", "nowhere/rows.json"])
def test_a_place_that_cannot_be_written_is_named_before_measuring(tmp_path: Path, file: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "mel", "--json", str(tmp_path / file)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "a file in a folder that is there was expected" in done.stderr
    assert not done.stdout


def test_a_line_is_found_and_a_bend_shows_as_a_number() -> None:
    xs = [1, 2, 4, 8, 16, 32]
    assert fit(xs, [0.5 + 0.25 * x for x in xs]) == pytest.approx((0.5, 0.25, 0.0), abs=1e-9)
    deviation = fit(xs, [0.5 + 0.25 * x + 0.02 * x * x for x in xs])[2]
    assert 0.1 < deviation < 0.6


def test_a_curve_gives_a_row_a_point_and_one_for_its_line(tmp_path: Path) -> None:
    called: list[float] = []
    ways = {x: lambda x=x: called.append(x) for x in (1.0, 2.0, 4.0)}
    curve = Curve("GPT", "clips at a time", "batch {:g}", tokens=265)
    rows = [row.plain_values() for row in curve.rows(ways, 2)]
    assert called == [1.0, 1.0, 2.0, 4.0, 4.0, 2.0, 1.0]
    assert [row["name"] for row in rows[:2]] == ["GPT: tokens/s at batch 1", "GPT: tokens/s at batch 2"]
    point = rows[1]["point"]
    assert rows[1]["ours"] == pytest.approx(2 * 265 / point["seconds"])
    assert rows[3]["line"]["deviation"] == rows[3]["ours"]
    assert point["cpu_seconds"] < 1, "nothing was computed"
    assert rows[3]["line"]["cpu_deviation"] == pytest.approx(0, abs=1e-6)
    assert all(line(row).count("|") == len(COLUMNS) + 1 for row in rows)
    (picture,) = plot(rows, tmp_path / "plots")
    assert picture.name == "growth-clips-at-a-time.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_peak_is_of_ours_alone() -> None:
    """Where the system can forget a peak, the plain way's memory does not count."""
    ways = {"plain": lambda: torch.ones(1 << 26).sum(), "ours": lambda: torch.ones(1 << 10).sum()}
    forget_peak()
    before = peak_mib()
    times = in_turns(ways, 1)
    assert times["plain"].peak_mib > before + 200
    if Path("/proc/self/clear_refs").exists():
        assert times["ours"].peak_mib < before + 128


def test_a_command_tells_its_peak_and_fails_aloud() -> None:
    command = Command(["-c", "x = bytearray(300 << 20)"])
    command()
    assert command.peak_mib > 300
    with pytest.raises(RuntimeError, match="no such thing"):
        Command(["-c", "raise SystemExit('no such thing')"])()


def test_work_in_a_process_of_its_own_streams_and_fails_aloud() -> None:
    assert list(stream(range, 3)) == [0, 1, 2]
    with pytest.raises(RuntimeError, match="exit code 1"):
        list(stream(open, "/nowhere"))


def test_a_command_is_timed_part_by_part(tmp_path: Path) -> None:
    make(tmp_path / "model", str(ROOT / "tests" / "micro.toml"))
    (seconds,) = stream(_timed, tmp_path / "model", tmp_path / "out")
    parts = ["import", "opening", "GPT", "decoder", "vocoder", "picture", "writing"]
    assert sorted(seconds) == sorted(parts)
    assert min(seconds.values()) > 0
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".wav", ".png", ".json"}


def _timed(model: Path, out: Path) -> list[dict[str, float]]:
    return [timed_command(model, out)]


def test_generate_opens_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    """Training, its board, plotting windows and the readers of features cost seconds at every start."""
    make(tmp_path / "model", str(ROOT / "tests" / "micro.toml"))
    command = arguments(tmp_path / "model", tmp_path / "out")
    script = (
        "import sys; from melgpt.cli import main; status = main(sys.argv[1:])\n"
        "print(*sorted(sys.modules), sep='\\n', file=sys.stderr); raise SystemExit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    opened = set(done.stderr.splitlines())
    assert {"torch", "melgpt.pipeline", "matplotlib.figure"} <= opened
    too_much = {"lightning", "tensorboard", "librosa", "scipy", "matplotlib.pyplot", "melgpt.training"}
    assert not opened & too_much
