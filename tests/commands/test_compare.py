"""`melgpt compare` as a user meets it."""

import json
from pathlib import Path

import pytest

from made_report import figure, made_result, made_shown
from melgpt import cli
from melgpt.evaluation.report import write_report
from page_checks import check_page

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("reports")
    for name, accuracy in (("weak", 0.5), ("strong", 0.9)):
        result = made_result(f"{name} <i>model</i>")
        result["rows"][2]["measures"]["accuracy"] = figure(accuracy, 0.03)
        write_report(folder / name, result, made_shown(clips=3, seconds=0.1))
    other = made_result("elsewhere")
    other["data"]["fingerprint"] = "0ther"
    write_report(folder / "elsewhere", other, made_shown(clips=1, seconds=0.1))
    return [str(folder / name) for name in ("weak", "strong", "elsewhere")]


def test_two_reports_side_by_side(reports: list[str], tmp_path: Path, capsys: Captured) -> None:
    assert cli.main(["compare", *reports[:2], "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "2 (strong <i>model</i>) is better in 1 of 6 measures tested, worse in none" in shown.out
    assert "listen.html" in shown.err
    page = check_page((tmp_path / "compare.html").read_text(encoding="utf-8"))
    assert "2 is better than 1" in page.text
    assert "[87.0 %, 93.0 %]" in page.text
    assert "i" not in {name for name, _ in page.elements}
    held = json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))
    best = [line for line in held["measures"] if line["verdicts"]]
    assert [(line["measure"], line["verdicts"][0]["better"]) for line in best] == [("accuracy", 1)]
    check_page((tmp_path / "listen.html").read_text(encoding="utf-8"))


def test_other_data_names_no_winner(reports: list[str], tmp_path: Path, capsys: Captured) -> None:
    assert cli.main(["compare", *reports, "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "no winner" in shown.out
    assert "1 and 3 differ in the data's fingerprint: da7a and 0ther" in shown.err
    page = check_page((tmp_path / "compare.html").read_text(encoding="utf-8"))
    assert "0ther" in page.text
    assert "is better than" not in page.text


def _vote(folder: Path, report: int, name: str = "votes.json") -> Path:
    """Votes for the sounds of one report, as the page saves them."""
    key = json.loads((folder / "listen.key.json").read_text(encoding="utf-8"))
    votes = [{"pair": pair["id"], "choice": "a" if pair["a"] == report else "b"} for pair in key["pairs"]]
    saved = {"format": 1, "page": key["page"], "finished": True, "votes": votes}
    (folder / name).write_text(json.dumps(saved), encoding="utf-8")
    return folder / name


def test_votes_are_unblinded_and_tested(reports: list[str], tmp_path: Path, capsys: Captured) -> None:
    call = ["compare", *reports[:2], "--out", str(tmp_path)]
    assert cli.main([*call, "--seed", "5"]) == 0
    before = (tmp_path / "listen.html").read_bytes()
    capsys.readouterr()
    assert cli.main([*call, "--votes", str(_vote(tmp_path, 1))]) == 0
    assert "2 (strong <i>model</i>) is preferred" in capsys.readouterr().out
    page = check_page((tmp_path / "compare.html").read_text(encoding="utf-8"))
    assert "p = 0.00391" in page.text  # nine of nine
    assert (tmp_path / "listen.html").read_bytes() == before, "the page that was voted on stays"


def test_one_model_measured_twice_goes_by_the_reports_folders(tmp_path: Path, capsys: Captured) -> None:
    for name, accuracy in (("tame", 0.5), ("wild", 0.9)):
        result = made_result("mine")
        result["rows"][2]["measures"]["accuracy"] = figure(accuracy, 0.03)
        write_report(tmp_path / name, result, made_shown(clips=1, seconds=0.1))
    reports = [str(tmp_path / name) for name in ("tame", "wild")]
    assert cli.main(["compare", *reports, "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "2 (wild) is better in 1 of" in shown
    assert "mine" not in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["WEAK"], "at least two reports"),
        ([], "at least two reports"),
        (["WEAK", "WEAK"], "given twice"),
        (["WEAK", "nowhere"], "not a report"),
        (["WEAK", "STRONG", "--row", "nois"], "did you mean 'noise'"),
        (["WEAK", "STRONG", "--pairs", "0"], "--pairs"),
        (["WEAK", "STRONG", "--votes", "nothing.json"], "listen.key.json"),
    ],
)
def test_a_mistake_gets_one_line(
    reports: list[str], tmp_path: Path, capsys: Captured, arguments: list[str], words: str
) -> None:
    places = {"WEAK": reports[0], "STRONG": reports[1]}
    call = ["compare", *(places.get(each, each) for each in arguments), "--out", str(tmp_path / "new")]
    try:
        code = cli.main(call)
    except SystemExit as stopped:
        code = stopped.code  # type: ignore[assignment]
    assert code == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_votes_of_another_page_or_other_reports(reports: list[str], tmp_path: Path, capsys: Captured) -> None:
    call = ["compare", *reports[:2], "--out", str(tmp_path)]
    cli.main([*call, "--seed", "1"])
    votes = _vote(tmp_path, 0)
    cli.main([*call, "--seed", "2"])
    capsys.readouterr()
    assert cli.main([*call, "--votes", str(votes)]) == 2
    assert "votes of another page" in capsys.readouterr().err
    assert cli.main(["compare", *reports[1:], "--out", str(tmp_path), "--votes", str(votes)]) == 2
    assert "made of other reports" in capsys.readouterr().err
    assert cli.main([*call, "--votes", str(tmp_path / "none.json")]) == 2
    assert "no such file" in capsys.readouterr().err
    (tmp_path / "listen.key.json").write_text('{"format": 1}')
    assert cli.main([*call, "--votes", str(votes)]) == 2
    assert "no key of a listening page" in capsys.readouterr().err
