"""The scripts of the pages, run by a browser; skipped where there is no Chromium."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from made_report import made_result, made_shown
from melgpt.evaluation.report import write_report
from melgpt.evaluation.report.stored import read_report
from melgpt.evaluation.side_by_side.differences import judged_row
from melgpt.evaluation.side_by_side.listening import PAGE, draw_pairs, write_listening

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium, which is not installed here")
OPTIONS = "--headless --no-sandbox --disable-gpu --dump-dom"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("reports")
    for name in ("one", "two"):
        write_report(folder / name, made_result(name), made_shown(2))
    return [folder / name for name in ("one", "two")]


def test_tables_sort_rising_then_falling_with_empty_cells_last(reports: list[Path]) -> None:
    seen = _run(
        reports[0] / "report.html",
        """
        const table = document.querySelector("table.sortable");
        const column = [...table.tHead.rows[0].cells].findIndex((head) => /Fréchet/.test(head.textContent));
        const values = () => [...table.tBodies[0].rows].map((row) => keyOf(row, column));
        const press = () => table.tHead.rows[0].cells[column].querySelector("button").click();
        press(); seen.rising = values(); press(); seen.falling = values();
        """,
    )
    numbers = [value for value in seen["rising"] if value != ""]
    assert len(numbers) > 2
    assert numbers == sorted(numbers)
    assert [value for value in seen["falling"] if value != ""] == numbers[::-1]
    assert "" not in seen["falling"][: len(numbers)]


def test_one_sound_plays_at_a_time(reports: list[Path]) -> None:
    seen = _run(
        reports[0] / "report.html",
        """
        seen.paused = [];
        HTMLMediaElement.prototype.pause = function () { seen.paused.push(sounds.indexOf(this)); };
        sounds[1].dispatchEvent(new Event("play"));
        seen.sounds = sounds.length;
        """,
    )
    assert seen["paused"] == [place for place in range(seen["sounds"]) if place != 1]


def test_a_pair_is_answered_only_when_both_were_heard_and_votes_are_counted(
    reports: list[Path], tmp_path: Path
) -> None:
    stored = [read_report(folder) for folder in reports]
    pairs = draw_pairs(stored, [judged_row(each) for each in stored], most=3, seed=0)
    write_listening(tmp_path, stored, pairs, seed=0)
    seen = _run(
        tmp_path / PAGE,
        """
        const closed = () => answers.every((answer) => answer.disabled);
        // Whether the machine can play sounds is not what is asked here.
        HTMLMediaElement.prototype.play = async () => {};
        const hear = async (side) => { byId(`play-${side}`).click(); await wait(10); };
        const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
        seen.closed = [closed()];
        await hear("a"); seen.closed.push(closed()); press("1"); seen.early = { ...state.votes };
        await hear("b"); seen.closed.push(closed()); press("2"); seen.place = byId("place").textContent;
        await hear("a"); await hear("b"); press("0"); byId("finish").click();
        Object.assign(seen, state, { result: byId("result").textContent });
        """,
    )
    assert seen["closed"] == [True, True, False]
    assert seen["early"] == {}
    assert seen["place"] == "Pair 2 of 3"
    assert seen["votes"] == {"0": "b", "1": "none"}
    assert seen["finished"] is True
    assert "A was better 0 times, B 1 times, no difference 1 times" in seen["result"]


def _run(page: Path, script: str) -> dict[str, Any]:
    """Open the page, run the script behind the page's own, return what it puts into `seen`."""
    behind = f"""<script>(async () => {{
        const seen = {{}}, wait = (ms) => new Promise((done) => setTimeout(done, ms));
        try {{ {script} }} catch (error) {{ seen.error = String(error); }}
        document.title = JSON.stringify(seen);
    }})();</script></body>"""
    copy = page.with_name("run.html")
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", behind), encoding="utf-8")
    assert BROWSER is not None
    command = [BROWSER, *OPTIONS.split(), "--virtual-time-budget=8000", copy.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search("<title>(.*?)</title>", shown, re.DOTALL)
    assert found, shown[:500]
    seen: dict[str, Any] = json.loads(html.unescape(found[1]))
    assert "error" not in seen, seen
    return seen
