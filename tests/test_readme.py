"""The commands and the Python of README.md and docs/guide.md run, with the reader's own names filled in."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from conftest import MICRO, melgpt
from melgpt.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/guide.md"))
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGES, flags=re.S)
# Those on videos need files of features: tests/training/test_videos.py runs them.
SHOWN = [block for kind, block in BLOCKS if not kind and "FEATURES" not in block]
LINES = [line for block in SHOWN for line in block.splitlines()]
USED = [shlex.split(line, comments=True)[1:] for line in LINES if line.startswith("melgpt ")]


def test_the_pages_show_the_commands_that_matter() -> None:
    shown = {command[0] for command in USED}
    assert {"fit", "prepare", "generate", "reconstruct", "encode", "decode", "evaluate"} <= shown


def test_the_readme_is_short() -> None:
    text = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.S)
    assert len(text.split()) <= 900


def test_every_command_of_the_pages_runs(corpus: Path, trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    mine = {
        "my_sounds": corpus,
        "runs/mine": run,
        "runs/mine/data": run / "data",
        "tiny": MICRO,
        "train.prior.steps=4000": "train.prior.steps=14",
        "train.decoder.steps=1000": "train.decoder.steps=2",
        "data": tmp_path / "data",
        **{f"{name}.wav": corpus / "dog" / f"dog_000{n}.wav" for n, name in enumerate(("some", "a", "b"), 1)},
    }
    outputs = {"dogs", "new", "tuned", "long", "floats", "back.wav", "codes.npz", "again.wav", "between"}
    outputs |= {"runs/again", "report", "report_a", "report_b", "side_by_side"}
    for command in USED:
        if "--recipe" in command and command[0] == "options":
            continue  # shows a recipe by its name
        filled = [str(mine.get(word, tmp_path / word if word in outputs else word)) for word in command]
        # The micro model's longest sound is one second; a longer one takes a while.
        shorter = {"4": "0.5", "3600": "70"}
        filled = [shorter[w] if filled[i - 1] == "--seconds" else w for i, w in enumerate(filled)]
        if command[0] == "evaluate":
            filled += ["-n", "2"]
        if command[0] == "compare":
            for report in ("report_a", "report_b"):
                shutil.copytree(tmp_path / "report", tmp_path / report)
        done = melgpt(*filled)
        assert done.returncode == 0, (command, done.stderr)
    written = {path.name for path in tmp_path.iterdir()}
    assert written == outputs - {"runs/again"} | {"run", "data", "runs"}


def test_the_python_of_the_pages_runs(
    corpus: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = (block for kind, block in BLOCKS if kind == "python")
    monkeypatch.chdir(tmp_path)
    code = code.replace("runs/mine", str(trained)).replace("some.wav", str(corpus / "dog" / "dog_0001.wav"))
    namespace: dict[str, object] = {}
    exec(compile(code.replace("seconds=4", "seconds=0.5"), "README.md", "exec"), namespace)
    assert (tmp_path / "dog.wav").is_file()
    assert namespace["codes"].grid.ndim == 3  # type: ignore[attr-defined]


def test_every_command_is_known_to_the_map(tmp_path: Path) -> None:
    commands = Path(sys.modules["melgpt"].__file__ or "").parent / "commands"
    # `import` is a word of Python's own, so its file has a stroke behind it.
    assert {path.stem.rstrip("_") for path in commands.glob("[!_]*.py")} == set(COMMANDS)
