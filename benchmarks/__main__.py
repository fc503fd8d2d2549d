"""python -m benchmarks [SUBJECT …] [--quick] [--json FILE]"""

import argparse
import importlib
import json
import os
from dataclasses import asdict
from pathlib import Path

# Waiting threads that spin slow a shared machine many times; torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SUBJECTS = ("mel", "codec", "vocoder", "sampling", "training", "prepare", "memory", "startup")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "subjects", nargs="*", metavar="SUBJECT", help=f"all, or some of: {', '.join(SUBJECTS)}"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and rows")
    args = parser.parse_args()
    chosen = SUBJECTS if args.subjects in ([], ["all"]) else tuple(args.subjects)
    if unknown := sorted(set(chosen) - set(SUBJECTS)):
        parser.error(f"unknown subject '{unknown[0]}'; known: {', '.join(SUBJECTS)}")

    from benchmarks.machine import measure

    machine = measure()
    print(_about(asdict(machine)))
    print("| work | plain | ours | alternative | ratio | limit | of the limit | spread |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    rows, notes = [], {}
    for subject in chosen:
        for row in importlib.import_module(f"benchmarks.{subject}").rows(machine, args.quick):
            rows.append(row.plain_values())
            notes[row.note] = None
            print(_line(rows[-1]), flush=True)
    print("\n" + "\n".join(f"- {note}" for note in notes if note))
    if args.json:
        args.json.write_text(json.dumps({"machine": asdict(machine), "rows": rows}, indent=2) + "\n")
    return 0


def _about(machine: dict[str, object]) -> str:
    matrix, half, read, fft = (float(str(machine[k])) for k in ("matrix", "matrix_bf16", "read", "fft"))
    return (
        f"{machine['processor']}, device {machine['device']}, {machine['threads']} threads, load "
        f"{machine['load']:.1f}, `auto` takes {machine['precision']}. Measured in this run: float32 products "
        f"{matrix / 1e9:.0f} GFLOP/s, bfloat16 {half / 1e9:.1f} GFLOP/s, memory {read / 1e9:.1f} GB/s, "
        f"{fft / 1e3:.0f} thousand transforms of 1024 samples a second.\n"
    )


def _line(row: dict[str, object]) -> str:
    amount = _megabytes if row["unit"] == "MB" else _seconds
    cells = [row["name"], *(amount(row[key]) for key in ("plain", "ours", "alternative"))]
    cells += [
        _times(row["ratio"]),
        _seconds(row["limit"]),
        _share(row["fraction_of_limit"]),
        _share(row["spread"]),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def _megabytes(value: object) -> str:
    return "" if value is None else f"{float(str(value)):.0f} MB"


def _seconds(value: object) -> str:
    if value is None:
        return ""
    seconds = float(str(value))
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def _times(value: object) -> str:
    return "" if value is None else f"{float(str(value)):.2g}x"


def _share(value: object) -> str:
    return "" if value is None else f"{float(str(value)):.2f}"


if __name__ == "__main__":
    raise SystemExit(main())
