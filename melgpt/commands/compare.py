"""Reports of evaluations held against each other: by their measures, and blind by ear.

Writes compare.html (measures side by side), compare.json, listen.html (pairs of sounds to vote on, without
names) and listen.key.json (which sound is whose: do not look). Votes saved by the page are read by --votes.

Examples: melgpt compare runs/a/report runs/b/report --out versus
          melgpt compare runs/a/report runs/b/report --out versus --votes votes.json
"""

import argparse
from pathlib import Path
from typing import Any

from melgpt.arguments import check_seed, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reports", nargs="*", type=Path, metavar="REPORT", help="folders of melgpt evaluate")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to write to")
    parser.add_argument(
        "--votes",
        type=Path,
        action="append",
        metavar="FILE",
        help="votes that the listening page saved; may be given several times, once a listener",
    )
    parser.add_argument("--row", metavar="NAME", help="row to compare (the first of the model)")
    parser.add_argument("--pairs", type=positive, default=40, metavar="N", help="most pairs to vote on (40)")
    parser.add_argument("--seed", type=int, default=0, help="draws the pairs and their order (0)")


def run(args: argparse.Namespace) -> int:
    from melgpt.evaluation.report.stored import read_report, write_text
    from melgpt.evaluation.side_by_side.differences import compare, disagreements, judged_row, summary
    from melgpt.evaluation.side_by_side.listening import draw_pairs, write_listening
    from melgpt.evaluation.side_by_side.page import page
    from melgpt.evaluation.side_by_side.votes import in_words, preferences, read_key, read_votes
    from melgpt.progress import say

    check_seed(args.seed)
    reports = _reports(args.reports, read_report)
    rows = [judged_row(report, args.row) for report in reports]
    lines = compare(reports, rows)
    preferred = []
    if args.votes:
        key = read_key(args.out, reports)
        preferred = preferences(key, read_votes(args.votes, key))
        pairs = len(key["pairs"])
    else:
        drawn = draw_pairs(reports, rows, most=args.pairs, seed=args.seed)
        pairs = len(drawn)
        if drawn:
            write_listening(args.out, reports, drawn, seed=args.seed)
        else:
            say("the reports have no sounds of a common label: no listening page")
    write_text(args.out / "compare.html", page(reports, rows, lines, preferred, pairs=pairs))
    write_text(args.out / "compare.json", _as_json(reports, lines, preferred))
    for warning in disagreements(reports):
        say(f"not comparable: {warning}")
    print(summary(reports, lines))
    for each in preferred:
        print(in_words(each, [f"{n} ({report.name})" for n, report in enumerate(reports, 1)]))
    if pairs and not args.votes:
        say(f"vote in {args.out / 'listen.html'}; see {args.out / 'compare.html'}")
    return 0


def _reports(folders: list[Path], read_report: Any) -> list[Any]:
    from dataclasses import replace

    from melgpt.errors import UserError

    if len(folders) < 2:
        raise UserError("at least two reports are needed: melgpt compare REPORT REPORT --out FOLDER")
    reports = [read_report(folder) for folder in folders]
    if len({report.folder.resolve() for report in reports}) < len(reports):
        raise UserError("a report was given twice")
    if len({report.name for report in reports}) < len(reports):  # one model measured twice
        return [replace(report, name=report.folder.resolve().name) for report in reports]
    return reports


def _as_json(reports: Any, lines: Any, preferred: Any) -> str:
    import json
    from dataclasses import asdict

    from melgpt.evaluation.side_by_side.differences import disagreements

    found = {
        "format": 1,
        "reports": [
            {"name": report.name, "folder": str(report.folder), "fingerprint": report.fingerprint}
            for report in reports
        ],
        "disagreements": disagreements(reports),
        "measures": [asdict(line) for line in lines],
        "preferences": [asdict(each) for each in preferred],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
