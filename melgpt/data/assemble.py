"""The second half of `prepare`: near duplicates, the split, and the files of the finished data set."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melgpt.data.audit import AUDIT, LEFT_OUT, NEAR_DUPLICATE, NO_LABEL, AuditRow, write_audit
from melgpt.data.band import Band, edges_of
from melgpt.data.config import DataConfig
from melgpt.data.duplicates import CHUNK, SIGNATURE, candidates, verified
from melgpt.data.journal import Journal
from melgpt.data.split import (
    SPLITS,
    TEST,
    TRAIN,
    UNKNOWN,
    Clips,
    Files,
    Sides,
    assign,
    hash_key,
    hold_out_ends,
    take_validation,
)
from melgpt.data.store import CLIP_COLUMNS, CLIPS, FORMAT, INDEX, INDEX_FILE, MANIFEST, Store, read_manifest
from melgpt.errors import UserError
from melgpt.progress import progress
from melgpt.types import MelScale

USABLE_CLIPS = 2
SPLIT_RULES = 2
"""Version of how validation is found where none is given; sets without one are made anew by newer rules."""
NAMED = 5
"""Classes that are named in one line."""


def check_usable(journal: Journal, source: Path) -> None:
    """Raises UserError where too little can be used to learn from, with the numbers and the first reason."""
    clips = int(journal.value("SELECT COUNT(*) FROM clips"))
    if clips >= USABLE_CLIPS:
        return
    files = int(journal.value("SELECT COUNT(*) FROM files"))
    problem = next((row for row in journal.findings() if row.action == LEFT_OUT), None)
    count = journal.value("SELECT COUNT(*) FROM audit WHERE action = ?", (LEFT_OUT,))
    first = "" if problem is None else f"; {count} left out, first {problem.line()}"
    if clips == 0:
        raise UserError(f"{source}: none of the {files} sound files can be used{first}")
    raise UserError(
        f"{source}: only 1 usable clip in {files} sound file(s), at least {USABLE_CLIPS} are needed: add a "
        f"sound, or cut this one into shorter clips with data.clip_seconds{first}"
    )


def assemble(
    journal: Journal, work: Path, out: Path, config: DataConfig, scale: MelScale, identity: dict[str, str]
) -> None:
    """Finish the data set in `work` from its shards and journal; `out` is the set that it will replace.

    The manifest, with `identity` in it, is written last: a folder that has one is whole.
    """
    labels = [str(row[0]) for row in journal.rows(_LABELS)]
    index = _write_index(journal, work / INDEX_FILE, labels)
    draft = Store(work, {"scale": scale.plain(), "labels": labels, "fingerprint": ""})
    _find_near_duplicates(journal, draft, config)
    _read_earlier(journal, out, identity["source"])
    notes = _write_split(journal, index, labels, config)
    _write_clips(journal, work / CLIPS, index)
    with open(work / AUDIT, "w", encoding="utf-8", newline="") as file:
        write_audit(file, journal.findings())
        _sync(file)
    index.flush()
    manifest = {
        "format": FORMAT,
        **identity,
        "fingerprint": _fingerprint(journal, index, labels, config, scale),
        "scale": scale.plain(),
        "config": config.plain(),
        "split_rules": SPLIT_RULES,
        "notes": notes,
        "without_clips": _without_clips(journal),
        "counts": _counts(journal, index),
        "labels": labels,
    }
    band = Band.of_clips(edges_of(scale), journal.bands())
    if band.classes:
        manifest["band"] = band.plain()
    with open(work / MANIFEST, "w", encoding="utf-8", newline="\n") as file:
        json.dump(manifest, file, ensure_ascii=False, indent=1)
        _sync(file)


_LABELS = "SELECT DISTINCT label FROM files WHERE id IN (SELECT file FROM clips) ORDER BY label"


def _write_index(journal: Journal, path: Path, labels: list[str]) -> Any:
    """The records of all clips in a new file, still without their split and text."""
    count = int(journal.value("SELECT COUNT(*) FROM clips"))
    index = np.lib.format.open_memmap(path, "w+", INDEX, (count,))
    ids = {label: number for number, label in enumerate(labels)}
    query = (
        "SELECT clips.id, offset, frames, shard, label FROM clips JOIN files ON files.id = clips.file "
        "ORDER BY clips.id"
    )
    for row, offset, frames, shard, label in journal.rows(query):
        index[row] = (offset, 0, frames, shard, ids[label], 0)
    return index


def _find_near_duplicates(journal: Journal, draft: Store, config: DataConfig) -> None:
    """Write the pairs of near duplicates and a finding for each later one into the journal."""
    journal.forget_near()
    signatures = np.empty((len(draft), SIGNATURE), np.float32)
    files = np.empty(len(draft), np.int64)
    for row, file, values in journal.rows("SELECT id, file, signature FROM clips"):
        signatures[row], files[row] = np.frombuffer(values, np.float32), file
    with progress("near duplicates", -(-len(draft) // CHUNK)) as bar:
        for pairs in candidates(signatures, files):
            journal.add_near(verified(pairs, draft.mel, draft.scale, config.near_duplicate))
            bar.advance()
    query = (
        "SELECT later.path, b.start, earlier.path, a.start, MAX(similarity) FROM near "
        "JOIN clips a ON a.id = near.a JOIN files earlier ON earlier.id = a.file "
        "JOIN clips b ON b.id = near.b JOIN files later ON later.id = b.file GROUP BY near.b ORDER BY near.b"
    )
    journal.add_findings(
        AuditRow(path, start, NEAR_DUPLICATE, "kept", f"similarity {score:.2f} with {other} at {place:g} s")
        for path, start, other, place, score in journal.rows(query)
    )
    journal.commit()


def _read_earlier(journal: Journal, out: Path, source: str) -> None:
    """Tell the journal which split the files have in the set at `out`, if that is of the same folder."""
    try:
        manifest = read_manifest(out)
    except UserError:
        manifest = {}
    rows: Iterator[tuple[str, str]] = iter(())
    if manifest.get("source") == source and (out / CLIPS).is_file():
        # The set may be damaged, that is why it is made anew: what can be read is kept.
        rows = ((row["path"], row["split"]) for row in _csv_rows(out / CLIPS) if row["split"] in SPLITS)
    journal.set_earlier(rows)


def _csv_rows(path: Path) -> Iterator[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _write_split(journal: Journal, index: Any, labels: list[str], config: DataConfig) -> list[str]:
    """The side of each clip into the index; what is to be said of it."""
    numbers, files = _files(journal, labels)
    links, notes = _links(journal, numbers), []
    first = assign(files, links, config.valid_fraction)
    sides = take_validation(files, first, links, config.valid_fraction)
    if moved := int((sides != first).sum()):
        notes.append(
            f"no validation is given: {moved} of the {int((first == TRAIN).sum())} training files are taken "
            "for it, by recording"
        )
    places = np.empty(len(index), np.int64)
    for row, number in journal.rows("SELECT id, file FROM clips"):
        places[row] = np.searchsorted(numbers, number)
    clips = Clips(places, sides[places])
    ended = hold_out_ends(clips, files, links, config.valid_fraction)
    index["split"][:] = ended.sides
    return notes + _said_of_ends(files.labels[places], labels, clips.sides, ended.sides)


def _said_of_ends(of_clips: NDArray[np.int64], labels: list[str], before: Sides, after: Sides) -> list[str]:
    """A line on the labels whose only recording lost its end to validation."""
    moved = np.bincount(of_clips[before != after], minlength=len(labels))
    clips = np.bincount(of_clips[before != TEST], minlength=len(labels))
    named = [f"{labels[n]} ({moved[n]} of {clips[n]} clips)" for n in np.flatnonzero(moved)]
    if not named:
        return []
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return [f"one recording alone, so its end is the validation: {', '.join(named[:NAMED])}{more}"]


def _files(journal: Journal, labels: list[str]) -> tuple[NDArray[np.int64], Files]:
    """Number of each file that gave clips, ascending, and what is known of it."""
    count = int(journal.value("SELECT COUNT(DISTINCT file) FROM clips"))
    numbers = np.empty(count, np.int64)
    files = Files(
        np.empty(count, np.uint64),
        np.empty(count, np.int64),
        *(np.full(count, UNKNOWN, np.int8) for _ in range(2)),
    )
    ids = {label: number for number, label in enumerate(labels)}
    query = (
        "SELECT id, source, label, files.split, earlier.split FROM files LEFT JOIN earlier USING (path) "
        "WHERE id IN (SELECT file FROM clips) ORDER BY id"
    )
    for place, (number, source, label, given, earlier) in enumerate(journal.rows(query)):
        numbers[place], files.keys[place], files.labels[place] = number, hash_key(source), ids[label]
        files.given[place] = SPLITS.index(given) if given else UNKNOWN
        files.earlier[place] = SPLITS.index(earlier) if earlier else UNKNOWN
    return numbers, files


def _without_clips(journal: Journal) -> dict[str, dict[str, int]]:
    """Each label whose files gave no clip, with how many findings there are of each reason."""
    query = (
        "SELECT label, reason, COUNT(*) FROM files JOIN audit ON audit.file = files.path "
        "WHERE action = ? AND problem != ? AND label NOT IN "
        "(SELECT label FROM files WHERE id IN (SELECT file FROM clips)) GROUP BY label, reason"
    )
    found: dict[str, dict[str, int]] = {}
    for label, reason, count in journal.rows(query, (LEFT_OUT, NO_LABEL)):
        found.setdefault(str(label), {})[str(reason)] = int(count)
    return found


def _links(journal: Journal, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs [L, 2] of places in `numbers` whose files hold the same sound."""
    query = (
        "SELECT a, b FROM links UNION SELECT a.file, b.file FROM near "
        "JOIN clips a ON a.id = near.a JOIN clips b ON b.id = near.b"
    )
    pairs = np.fromiter(journal.rows(query), np.dtype((np.int64, 2)))
    return np.searchsorted(numbers, pairs[np.isin(pairs, numbers).all(1)]).astype(np.int64)


def _write_clips(journal: Journal, path: Path, index: Any) -> None:
    """The texts of the clips, and into the index where each one's line begins."""
    query = (
        "SELECT clips.id, path, label, start, seconds FROM clips JOIN files ON files.id = clips.file "
        "ORDER BY clips.id"
    )
    with open(path, "wb") as file:
        file.write(_line(CLIP_COLUMNS))
        for row, name, label, start, seconds in journal.rows(query):
            index["text"][row] = file.tell()
            identity = hashlib.sha256(f"{name}@{start!r}".encode()).hexdigest()[:12]
            split = SPLITS[index["split"][row]]
            file.write(_line((identity, name, label, repr(start), repr(seconds), split)))
        _sync(file)


def _line(cells: tuple[str, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _fingerprint(journal: Journal, index: Any, labels: list[str], config: DataConfig, scale: MelScale) -> str:
    """Changes when anything does that training depends on; not with the names of files."""
    head = [FORMAT, scale.plain(), labels, config.identity()]
    digest = hashlib.sha256(json.dumps(head).encode())
    for row, samples in journal.rows("SELECT id, digest FROM clips ORDER BY id"):
        digest.update(samples)
        digest.update(f"{index['label'][row]} {index['split'][row]} {index['frames'][row]};".encode())
    return digest.hexdigest()


def _counts(journal: Journal, index: Any) -> dict[str, Any]:
    splits = np.bincount(index["split"], minlength=len(SPLITS)).tolist()
    without = "SELECT COUNT(*) FROM files WHERE id NOT IN (SELECT file FROM clips)"
    return {
        "clips": len(index),
        "seconds": round(float(journal.value("SELECT SUM(seconds) FROM clips")), 3),
        "splits": dict(zip(SPLITS, splits, strict=True)),
        "files_left_out": int(journal.value(without)),
    }


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
