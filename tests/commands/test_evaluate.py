"""`melgpt evaluate` from end to end on the smallest model, and what a user can get wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import MICRO, melgpt
from melgpt import checkpoint, cli

ROWS = {
    "real against real": "floor",
    "mel + vocoder": "ceiling",
    "codec + vocoder": "ceiling",
    "generated": "model",
    "nearest training clip": "control",
    "class-mean mel": "control",
    "noise": "control",
    "silence": "control",
}


@pytest.fixture(scope="module")
def report(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "report"
    done = melgpt("evaluate", trained, trained / "data", "--out", folder, "-n", 3)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(folder / "report.html")
    return folder


@pytest.fixture(scope="module")
def result(report: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((report / "report.json").read_text())
    return content


def test_every_row_stands_in_the_table_with_its_interval(result: dict[str, Any]) -> None:
    assert {row["name"]: row["role"] for row in result["rows"]} == ROWS
    for row in result["rows"]:
        assert {"kad", "kid", "accuracy", "inception_score", "kl", "vendi"} <= row["measures"].keys()
        for name, measure in row["measures"].items():
            assert measure["low"] <= measure["value"] + 1e-9, (row["name"], name)
            assert measure["value"] <= measure["high"] + 1e-9, (row["name"], name)
            assert name in result["directions"]
            assert name in result["meanings"]


def test_the_protocol_can_be_done_again(result: dict[str, Any], trained: Path) -> None:
    protocol = result["protocol"]
    assert protocol["clips"] == sum(protocol["per_class"].values()) > 0
    assert protocol["generated"] == 3 * len(result["model"]["labels"])
    assert protocol["extractor"]["fingerprint"] == result["listeners"][0]["fingerprint"]
    assert (
        result["model"]["fingerprints"]["codec"]
        == checkpoint.describe(trained / "codec.safetensors").fingerprint
    )
    assert all(each["train_clips"] == result["data"]["clips"]["train"] for each in result["listeners"])
    judges = {each["fingerprint"] for each in result["listeners"]}
    teachers = {mark for used in result["model"]["trained_with"].values() for mark in used.values()}
    assert not judges & teachers


def test_a_copy_machine_is_caught(result: dict[str, Any]) -> None:
    rows = {row["name"]: row["measures"] for row in result["rows"]}
    assert rows["nearest training clip"]["memorised"]["value"] == 1
    memory = result["memorisation"]
    assert len(memory["clips"]) == result["protocol"]["generated"]
    assert memory["flagged"] == sum(clip["flagged"] for clip in memory["clips"])


def test_the_ladder_goes_from_real_to_new(result: dict[str, Any]) -> None:
    stages = {step["stage"]: step["measures"] for step in result["ladder"]}
    assert list(stages) == ["real", "mel + griffin_lim", "mel + vocoder", "codec + vocoder", "generated"]
    for stage in ("mel + griffin_lim", "mel + vocoder", "codec + vocoder"):
        assert {"mel_l1", "stft", "stft_in_band", "envelope", "onset"} <= stages[stage].keys()
    assert stages["mel + vocoder"]["mel_l1"]["value"] < stages["codec + vocoder"]["mel_l1"]["value"]


def test_the_ladder_is_told_by_class(result: dict[str, Any]) -> None:
    counts = {label: count for label, count in result["protocol"]["per_class"].items() if count}
    for step in result["ladder"][1:-1]:
        assert set(step["per_class"]) == set(counts)
        for name in ("mel_l1", "stft", "envelope"):
            means = [step["per_class"][label][name]["value"] * count for label, count in counts.items()]
            assert sum(means) / sum(counts.values()) == pytest.approx(step["measures"][name]["value"]), name
    assert "per_class" not in result["ladder"][-1], "new sounds have no recording to be compared with"


def test_parts_stand_beside_their_baselines(result: dict[str, Any]) -> None:
    assert {"mel_l1", "mean_mel_l1", "stft", "codes_used", "perplexity", "bits_per_second"} <= result[
        "codec"
    ].keys()
    assert {"bits_per_token", "unigram_bits", "bigram_bits", "class_row_table_bits"} <= result["prior"].keys()


def test_listeners_are_trained_once_and_the_same_seed_gives_the_same_report(
    report: Path, result: dict[str, Any], trained: Path, tmp_path: Path
) -> None:
    times = {file: file.stat().st_mtime_ns for file in (report / "listeners").glob("*.safetensors")}
    done = melgpt(
        "evaluate", trained, trained / "data", "--out", tmp_path / "again", "-n", 3,
        "--listeners", report / "listeners", "--fail-under", "accuracy=1.1", "--fail-under", "codec.mel_l1=9",
    )  # fmt: skip
    assert done.returncode == 2
    assert "accuracy is" in done.stderr.splitlines()[-1]
    assert "below the limit 1.1" in done.stderr.splitlines()[-1]
    assert "mel_l1" not in done.stderr
    assert {file: file.stat().st_mtime_ns for file in times} == times
    again = json.loads((tmp_path / "again" / "report.json").read_text())
    for part in ("rows", "ladder", "memorisation", "codec", "prior", "listeners"):
        assert again[part] == result[part], part


def test_listeners_of_train_classifier_serve(report: Path, trained: Path, tmp_path: Path) -> None:
    done = melgpt("train", "classifier", trained / "data", "--out", tmp_path / "run", "--recipe", MICRO)
    assert done.returncode == 0, done.stderr
    again = ["train", "classifier", trained / "data", "--out", tmp_path / "run", "--recipe", MICRO]
    assert cli.main([*map(str, again)]) == 0, "a folder with nothing but listeners is gone on with"
    for file in (report / "listeners").glob("*.safetensors"):
        same = checkpoint.describe(tmp_path / "run" / "listeners" / file.name)
        assert same.fingerprint == checkpoint.describe(file).fingerprint


class Failing:
    """Runs the command in this process; it must fail with one line."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, words: str, *arguments: object) -> None:
        code = cli.main(["evaluate", *map(str, arguments)])
        told = self.capsys.readouterr().err
        assert code == 2, told
        assert "Traceback" not in told
        assert words in told.strip().splitlines()[-1], told


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Failing:
    return Failing(capsys)


def test_mistakes_get_one_clear_line_before_anything_is_trained(
    fails: Failing, trained: Path, tmp_path: Path
) -> None:
    data, out = trained / "data", ("--out", tmp_path / "report")
    fails(
        "unknown measure 'acuracy'; did you mean 'accuracy'", trained, data, *out, "--fail-under", "acuracy=1"
    )
    fails("has no test clips: choose another --split", trained, data, *out, "--split", "test")
    fails("--seed", trained, data, *out, "--seed", -1)
    fails("top_p", trained, data, *out, "--top-p", 2)
    fails("does not exist", trained, tmp_path / "nowhere", *out)
    (tmp_path / "file").touch()
    fails("is a file; give a folder", trained, data, "--out", tmp_path / "file")
    fails(
        "melception_kid is only measured with --melception",
        trained,
        data,
        *out,
        "--fail-under",
        "melception_kid=1",
    )
    fails("holds no listeners", trained, data, *out, "--listeners", tmp_path)
    assert not (tmp_path / "report").exists()


def test_a_model_that_lacks_a_part_is_refused(fails: Failing, trained: Path, tmp_path: Path) -> None:
    for part, words in (
        ("vocoder", "vocoder.safetensors is missing"),
        ("prior", "no prior.safetensors: there are no new sounds to measure"),
    ):
        model = shutil.copytree(trained, tmp_path / part, ignore=shutil.ignore_patterns("data", "training"))
        (model / f"{part}.safetensors").unlink()
        fails(words, model, trained / "data", "--out", tmp_path / "report")


def _changed_data(trained: Path, folder: Path, **changes: Any) -> Path:
    data = shutil.copytree(trained / "data", folder)
    manifest = json.loads((data / "data.json").read_text())
    (data / "data.json").write_text(json.dumps({**manifest, **changes}))
    return data


def test_data_that_do_not_fit_the_model_are_refused(fails: Failing, trained: Path, tmp_path: Path) -> None:
    manifest = json.loads((trained / "data" / "data.json").read_text())
    scale = {**manifest["scale"], "f_max": 8000.0}
    other = _changed_data(trained, tmp_path / "scale", scale=scale)
    fails("mel scale", trained, other, "--out", tmp_path / "report")
    labels = ["whale", *manifest["labels"][1:]]
    renamed = _changed_data(trained, tmp_path / "labels", labels=labels)
    fails("the model knows the class 'baby'", trained, renamed, "--out", tmp_path / "report")


def test_a_class_of_one_clip_is_refused(fails: Failing, trained: Path, tmp_path: Path) -> None:
    data = _changed_data(trained, tmp_path / "data")
    index = np.load(data / "index.npy")
    first = np.flatnonzero(index["label"] == 0)
    index["label"][first[1:]] = 1
    np.save(data / "index.npy", index)
    fails("the class 'baby' of", trained, data, "--out", tmp_path / "report")
