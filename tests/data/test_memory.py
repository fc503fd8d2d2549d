"""Preparing many clips needs hardly more memory than preparing few."""

import gc
import tracemalloc
from pathlib import Path

from benchmarks.made_up_clips import simulate

BYTES_A_CLIP = 500
"""96 for a signature, 200 for the tree of them, and arrays of the split; a list of records takes more."""


def _peak(folder: Path, clips: int) -> int:
    folder.mkdir()
    gc.collect()
    tracemalloc.start()
    try:
        prepared = simulate(folder, clips)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert prepared.clips == clips
    assert prepared.reasons("kept") == {"clipped": clips // 10, "near duplicate": clips // 100 - 1}
    return peak


def test_memory_grows_by_a_few_numbers_a_clip(tmp_path: Path) -> None:
    _peak(tmp_path / "warm", 200)
    few, many = (_peak(tmp_path / str(clips), clips) for clips in (1000, 5000))
    assert many - few < 4000 * BYTES_A_CLIP
