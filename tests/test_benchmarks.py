"""The benchmarks time what they say: in turns, medians, and with the plain way computing the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.__main__ import SUBJECTS
from benchmarks.measure import Row, in_turns
from benchmarks.vocoder import flat
from melgpt import registry

ROOT = Path(__file__).parents[1]


def test_ways_are_timed_in_turns_after_one_round_that_does_not_count() -> None:
    called: list[str] = []
    times = in_turns({"plain": lambda: called.append("p"), "ours": lambda: called.append("o")}, 3)
    assert called == ["o", "p", "p", "o", "o", "p", "p", "o"]
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
    assert content["machine"]["read"] > 0
    wanted = {"name", "plain", "ours", "alternative", "unit", "ratio", "limit", "fraction_of_limit", "spread"}
    assert wanted <= set(content["rows"][0])


def test_every_subject_is_a_file_and_every_file_a_subject() -> None:
    helpers = {"__init__", "__main__", "measure", "machine"}
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - helpers == set(SUBJECTS)


def test_an_unknown_subject_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "mels"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "unknown subject 'mels'" in done.stderr
