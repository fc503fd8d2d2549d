"""Votes of blind listening: un-blinded by the key, and an exact sign test of who is preferred.

Pairs without a preference are left out of the test, as is usual for the sign test
(Dixon and Mood 1946, https://doi.org/10.1080/01621459.1946.10501898).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from melgpt.errors import UserError
from melgpt.evaluation.report.stored import Stored, read_json
from melgpt.evaluation.side_by_side.listening import FORMAT, KEY

CHOICES = ("a", "b", "none")


@dataclass(frozen=True)
class Preference:
    """Votes between two reports (by place), p of the two-sided sign test, 95 % interval of the first's share.

    p, share and interval are None where nobody preferred either.
    """

    first: int
    second: int
    wins: tuple[int, int]
    ties: int
    p: float | None
    share: float | None
    interval: tuple[float, float] | None


def read_key(folder: Path, reports: Sequence[Stored]) -> dict[str, Any]:
    """The key beside a listening page. Raises UserError where there is none, or one of other reports."""
    file = folder / KEY
    if not file.is_file():
        raise UserError(
            f"{folder} has no {KEY}: --out must be the folder that the listening page was written to"
        )
    key = read_json(file)
    if (
        not isinstance(key, dict)
        or key.get("format") != FORMAT
        or not {"page", "reports", "pairs"} <= set(key)
    ):
        raise UserError(f"{file} is no key of a listening page that this program reads")
    if [each["fingerprint"] for each in key["reports"]] != [report.fingerprint for report in reports]:
        names = ", ".join(each["name"] for each in key["reports"])
        raise UserError(f"the listening page in {folder} was made of other reports ({names}, in this order)")
    return key


def read_votes(files: Sequence[Path], key: dict[str, Any]) -> list[tuple[int, str]]:
    """(pair, choice) of all files. Raises UserError for what are no votes, or votes of another page."""
    votes: list[tuple[int, str]] = []
    if len({file.resolve() for file in files}) < len(files):
        raise UserError("a file of votes was given twice")
    for file in files:
        held = read_json(file)
        if not isinstance(held, dict) or not isinstance(held.get("votes"), list):
            raise UserError(f"{file} holds no votes; the listening page saves them")
        if held.get("format") != FORMAT:
            raise UserError(f"{file} has format {held.get('format')}, this program reads {FORMAT}")
        if held.get("page") != key["page"]:
            raise UserError(f"{file} holds votes of another page ({held.get('page')}, not {key['page']})")
        mine = [_vote(file, each, len(key["pairs"])) for each in held["votes"]]
        if len({pair for pair, _ in mine}) < len(mine):
            raise UserError(f"{file} is damaged: it votes twice on one pair")
        votes += mine
    return votes


def _vote(file: Path, vote: Any, pairs: int) -> tuple[int, str]:
    pair, choice = (vote.get("pair"), vote.get("choice")) if isinstance(vote, dict) else (None, None)
    if not isinstance(pair, int) or not 0 <= pair < pairs or choice not in CHOICES:
        raise UserError(f"{file} is damaged: {vote} is no vote")
    return pair, str(choice)


def preferences(key: dict[str, Any], votes: Sequence[tuple[int, str]]) -> list[Preference]:
    """Who is preferred, for every two reports that were heard against each other."""
    found = []
    for both in combinations(range(len(key["reports"])), 2):
        heard = [
            (key["pairs"][pair], choice)
            for pair, choice in votes
            if {key["pairs"][pair]["a"], key["pairs"][pair]["b"]} == set(both)
        ]
        if heard:
            winners = [pair[choice] for pair, choice in heard if choice != "none"]
            found.append(_tested(both, winners, len(heard) - len(winners)))
    return found


def _tested(both: tuple[int, int], winners: list[int], ties: int) -> Preference:
    wins = winners.count(both[0]), winners.count(both[1])
    if not winners:
        return Preference(*both, wins, ties, None, None, None)
    test = binomtest(wins[0], len(winners), 0.5, alternative="two-sided")
    span = test.proportion_ci(0.95, method="exact")
    share = wins[0] / len(winners)
    return Preference(*both, wins, ties, float(test.pvalue), share, (float(span.low), float(span.high)))


def in_words(preference: Preference, names: Sequence[str]) -> str:
    """One sentence or two on what was preferred, and whether that may be chance."""
    first, second = names[preference.first], names[preference.second]
    counts = (
        f"{first} was better in {preference.wins[0]}, {second} in {preference.wins[1]}, "
        f"no difference in {preference.ties}"
    )
    if preference.p is None or preference.interval is None or preference.share is None:
        return f"{counts}: nobody preferred either."
    low, high = preference.interval
    share = f"{100 * preference.share:.0f} % for {first} [{100 * low:.0f} %, {100 * high:.0f} %]"
    if preference.p < 0.05:
        winner = first if preference.wins[0] > preference.wins[1] else second
        verdict = f"{winner} is preferred"
    else:
        verdict = "this may be chance"
    return f"{counts}: {verdict} ({share}, p = {preference.p:.3g} in an exact sign test)."
