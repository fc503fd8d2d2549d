"""The results as a Markdown table."""

from typing import Any

COLUMNS = ("work", "plain", "ours", "alternative", "ratio", "limit", "of the limit", "spread", "peak MiB")
HEAD = f"| {' | '.join(COLUMNS)} |\n| {' | '.join('---' for _ in COLUMNS)} |"


def about(machine: dict[str, Any]) -> str:
    """The machine in a sentence or two."""
    matrix, half, read = (machine[key] / 1e9 for key in ("matrix", "matrix_bf16", "read"))
    load = f"load {machine['load_start']:.1f} to {machine['load_end']:.1f}"
    return (
        f"{machine['processor']}, device {machine['device']}, {machine['threads']} threads, {load}, `auto` "
        f"takes {machine['precision']}. Measured in this run: float32 products {matrix:.0f} GFLOP/s, "
        f"bfloat16 {half:.1f} GFLOP/s, memory {read:.1f} GB/s, {machine['fft'] / 1e3:.0f} thousand "
        "transforms of 1024 samples a second."
    )


def line(row: dict[str, Any]) -> str:
    """A row as a line of the table."""
    figures = [_figure(row[key], row["unit"]) for key in ("plain", "ours", "alternative")]
    cells = [
        row["name"],
        *figures,
        _times(row["ratio"]),
        _figure(row["limit"], row["unit"]),
        _number(row["fraction_of_limit"], ".2f"),
        _number(row["spread"], ".2f"),
        _number(row["peak_mib"], ".0f"),
    ]
    return "| " + " | ".join(cells) + " |"


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit != "s":
        return f"{value:.3g} {unit}"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{float(f'{ratio:.2g}'):g}x"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"
