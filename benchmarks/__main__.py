"""python -m benchmarks [SUBJECT …] [--quick] [--json FILE] [--plots DIR]"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from benchmarks import subjects
from benchmarks.child import stream
from benchmarks.machine import load_average, quickest
from benchmarks.subjects import SUBJECTS
from benchmarks.table import HEAD, about, line
from melgpt.paths import atomic


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "subjects", nargs="*", metavar="SUBJECT", help=f"all, or some of: {', '.join(SUBJECTS)}"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and rows")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw the curves of growth")
    args = parser.parse_args()
    chosen = SUBJECTS if args.subjects in ([], ["all"]) else tuple(args.subjects)
    if unknown := sorted(set(chosen) - set(SUBJECTS)):
        parser.error(f"unknown subject '{unknown[0]}'; known: {', '.join(SUBJECTS)}")
    if args.json and (args.json.is_dir() or not args.json.parent.is_dir()):
        parser.error(f"--json {args.json}: a file in a folder that is there was expected")

    # Waiting threads that spin slow a shared machine many times; the subjects' processes inherit this.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    [machine] = stream(subjects.machine)
    print(HEAD, flush=True)
    rows: list[dict[str, Any]] = []
    for subject in chosen:
        # Beside other work a measure of the machine may be too low: the best so far is nearest to its limit.
        [again] = stream(subjects.machine)
        machine = quickest(machine, again)
        for row in stream(subjects.rows, subject, machine, args.quick):
            rows.append(row)
            print(line(row), flush=True)
    notes = dict.fromkeys(row["note"] for row in rows if row["note"])
    print("\n" + "\n".join(f"- {note}" for note in notes))
    machine["load_end"] = load_average()
    print("\n" + about(machine))
    if args.json:
        with atomic(args.json) as temporary:
            temporary.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")
    if args.plots:
        from benchmarks.plots import plot

        for path in plot(rows, args.plots):
            print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
