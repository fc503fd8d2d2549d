"""A folder of sounds or of finished mels → a prepared data set: decode, cut, audit, duplicates, split, store.

The work is done in OUT.partial with a journal, so a killed run goes on where it stopped, and takes OUT's
place at the end. The result does not depend on the number of threads.
"""

import errno
import hashlib
import json
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from melgpt.data.assemble import SPLIT_RULES, assemble, check_usable
from melgpt.data.audit import AUDIT, KEPT, LEFT_OUT, TOO_SHORT, AuditRow, read_audit
from melgpt.data.band import Band
from melgpt.data.config import DataConfig
from melgpt.data.decode import decode
from melgpt.data.journal import JOURNAL, Journal
from melgpt.data.layouts import layout_of
from melgpt.data.outputs import kind_of_output
from melgpt.data.passed_over import PassedOver
from melgpt.data.store import FORMAT, MANIFEST, is_prepared, is_whole, read_manifest
from melgpt.errors import UserError
from melgpt.paths import first_missing, remove_empty
from melgpt.progress import say
from melgpt.types import MelScale

__all__ = ["DataConfig", "Prepared", "is_current", "prepare"]

EARLIER_MIN_SECONDS = 0.2
"""Default of `min_seconds` in earlier versions."""


@dataclass(frozen=True)
class Prepared:
    """What a prepared data set holds and what was found wrong."""

    folder: Path
    clips: int
    seconds: float
    labels: tuple[str, ...]
    splits: dict[str, int]
    """Clips of train, valid and test."""
    files_left_out: int
    """Files that gave no clip at all."""
    notes: tuple[str, ...] = ()
    """What else is to be said: what of the folder was not looked at, how validation was found, …"""
    left_out_by_band: str | None = None
    """What the mel's band leaves out of which class, in one line; None where that is little."""

    @classmethod
    def read(cls, folder: Path, passed: PassedOver | None = None) -> "Prepared":
        """From a finished data set, and what was passed over. Raises UserError where the folder is none."""
        manifest = read_manifest(folder)
        passed = PassedOver() if passed is None else passed
        lines = passed.lines(manifest.get("without_clips"))
        band, scale = Band.of_manifest(manifest), MelScale.parse(manifest["scale"])
        return cls(
            folder,
            labels=tuple(manifest["labels"]),
            **manifest["counts"],
            notes=(*passed.notes, *manifest.get("notes", []), *lines),
            left_out_by_band=None if band is None else band.finding(scale),
        )

    @property
    def audit(self) -> list[AuditRow]:
        """All findings, read anew: there may be as many as clips."""
        return list(read_audit(self.folder / AUDIT))

    def reasons(self, action: str = LEFT_OUT) -> dict[str, int]:
        """How many findings there are for each reason, the most frequent first."""
        counts: dict[str, int] = {}
        for row in read_audit(self.folder / AUDIT):
            if row.action == action:
                counts[row.reason] = counts.get(row.reason, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def report(self) -> list[str]:
        """What came of it, in a few lines."""
        splits = ", ".join(f"{count} {name}" for name, count in self.splits.items() if count)
        classes = f"{len(self.labels)} {'class' if len(self.labels) == 1 else 'classes'}"
        lines = [f"{self.clips} clips, {self.seconds:.0f} s, {classes}; {splits}: {self.folder}", *self.notes]
        findings = len(lines)
        for words, action in (("left out", LEFT_OUT), ("kept, but look at", KEPT)):
            if reasons := self.reasons(action):
                lines.append(
                    f"{words}: "
                    + ", ".join(f"{count} {reason}{self._limit(reason)}" for reason, count in reasons.items())
                )
        if len(lines) > findings:
            lines.append(f"each with its reason in {self.folder / AUDIT}")
        if self.left_out_by_band:
            lines.append(self.left_out_by_band)
        return lines

    def _limit(self, reason: str) -> str:
        """The option behind a reason that a user may want to move, in brackets."""
        if reason != TOO_SHORT:
            return ""
        least = DataConfig.parse(read_manifest(self.folder)["config"]).min_seconds
        return f" (below {least:g} s: data.min_seconds)"


def prepare(
    source: Path,
    out: Path,
    config: DataConfig,
    scale: MelScale,
    *,
    workers: int | None = None,
    results: tuple[Path, ...] = (),
) -> Prepared:
    """Prepare the sounds below `source` into the data set `out`, with so many threads (None: one a core).

    A finished set of the same files and options is returned at once; another set is replaced, and files that
    it knows keep their split. results: further folders that are written to; like `out`, they are not looked
    into. Raises UserError for a folder that is missing, holds no sound or no readable one, or fewer than 2
    clips, and for an `out` that is something else or that one works in.
    """
    source, out = Path(source), Path(out)
    if Path.cwd().is_relative_to(out.resolve()):
        raise UserError(
            f"{out}: a data set is put in place as a whole, which cannot be done to the current folder or "
            "one above it; choose a folder inside it, such as data"
        )
    _recover(out)
    work = _work(out)
    layout = layout_of(source)
    config, passed = layout.resolve(config), PassedOver(_written(out, results))
    with Journal.listing(layout.find(source, config, scale, passed)) as listing:
        if listing.value("SELECT COUNT(*) FROM files") == 0:
            raise _nothing_found(source, passed)
        key = _key(listing, config, scale)
        before = _manifest_key(out)
        missed = _missed(out, before, _earlier_key(listing, config, scale))
        if before == key or missed == 0:
            _remove_left_over(work)
            return Prepared.read(out, passed)
        if missed:
            say(
                f"{out}: made anew, as sounds below {EARLIER_MIN_SECONDS:g} s, of which an earlier version "
                f"left out {missed}, are learnt now (data.min_seconds={EARLIER_MIN_SECONDS:g}: not)"
            )
        elif before is not None:
            say(f"{out}: was prepared from other files or with other options, and is made anew")
        above = first_missing(work)
        if _manifest_key(work) != key:
            _make_work_folder(work, listing, key)
    if _manifest_key(work) != key:
        try:
            _fill(work, source, out, config, scale, workers)
        except UserError:
            remove_empty(work.parent, above)
            raise
    _replace(work, out)
    return Prepared.read(out, passed)


def is_current(
    source: Path, out: Path, config: DataConfig, scale: MelScale, *, results: tuple[Path, ...] = ()
) -> bool:
    """Whether `out` is a finished data set of just these files (path, size, time of change) and options."""
    layout = layout_of(Path(source))
    config, passed = layout.resolve(config), PassedOver(_written(Path(out), results))
    with Journal.listing(layout.find(Path(source), config, scale, passed)) as listing:
        before = _manifest_key(Path(out))
        missed = _missed(Path(out), before, _earlier_key(listing, config, scale))
        return before == _key(listing, config, scale) or missed == 0


def _nothing_found(source: Path, passed: PassedOver) -> UserError:
    """What is to be said of a folder without sounds."""
    if is_prepared(source):
        return UserError(f"{source} is a prepared data set already: give the folder of sounds")
    if kind_of_output(source, frozenset(path.name for path in source.iterdir())) == "model":
        return UserError(
            f"{source} is a model folder: give the folder of sounds, or its data set {source / 'data'}"
        )
    others = "".join(f"; {line}" for line in passed.summary())
    return UserError(
        f"{source}: no sound files found (wav, flac, ogg, mp3, m4a, mp4, webm, mkv and others){others}"
    )


def _work(out: Path) -> Path:
    """Where a data set is made before it takes its place."""
    return out.with_name(f"{out.name}.partial")


def _written(out: Path, results: tuple[Path, ...]) -> tuple[Path, ...]:
    return (out, _work(out), _aside(out), *results)


def _key(listing: Journal, config: DataConfig, scale: MelScale) -> str:
    parts = [FORMAT, listing.digest(), config.identity(), scale.plain()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _earlier_key(listing: Journal, config: DataConfig, scale: MelScale) -> str | None:
    """The key that an earlier version gave to the same files and default options."""
    if config.min_seconds != DataConfig().min_seconds or config.clip_seconds < EARLIER_MIN_SECONDS:
        return None
    return _key(listing, config.changed(min_seconds=EARLIER_MIN_SECONDS), scale)


def _missed(out: Path, key: str | None, earlier: str | None) -> int | None:
    """Sounds that a set of an earlier version left out as too short, and this one would not: with none of
    them the set is as it would be made now. None for another set."""
    if key is None or key != earlier:
        return None
    return sum(row.reason == TOO_SHORT for row in read_audit(out / AUDIT))


def _manifest_key(folder: Path) -> str | None:
    """What a finished data set was made for; None where the folder is no finished data set.

    Nor is one without validation that older rules of the split left so: it could not be learnt from.
    """
    try:
        manifest = read_manifest(folder)
        outdated = manifest.get("split_rules", 1) < SPLIT_RULES and not manifest["counts"]["splits"]["valid"]
        return None if outdated or not is_whole(folder) else str(manifest["key"])
    except (UserError, KeyError):
        return None


def _make_work_folder(work: Path, listing: Journal, key: str) -> None:
    """A work folder with a journal for this key: the one that a killed run left, or a new one."""
    if work.exists():
        if (work / JOURNAL).exists() and not (work / MANIFEST).exists():
            with Journal.open(work / JOURNAL) as journal:
                if journal.key == key:
                    return
        elif not (work / MANIFEST).exists() and any(work.iterdir()):
            raise UserError(
                f"{work} is in the way: it is not from an earlier prepare; move it or choose another OUT"
            )
        shutil.rmtree(work)
    work.mkdir(parents=True)
    listing.copy_to(work / JOURNAL)
    with Journal.open(work / JOURNAL) as journal:
        journal.key = key


def _remove_left_over(work: Path) -> None:
    """Remove the work folder that a killed run for other files or options left; one that is in use stays."""
    try:
        if (work / JOURNAL).is_file():
            Journal.open(work / JOURNAL).close()
    except UserError:
        return
    if (work / JOURNAL).is_file() or is_prepared(work):
        shutil.rmtree(work)


def _fill(
    work: Path, source: Path, out: Path, config: DataConfig, scale: MelScale, workers: int | None
) -> None:
    """Make the work folder a whole data set. Where nothing can be made of the source, it is removed."""
    try:
        with Journal.open(work / JOURNAL) as journal:
            journal.complete()
            decode(journal, source, work, config, scale, workers=workers)
            check_usable(journal, source)
            identity = {"key": str(journal.key), "source": str(source.resolve())}
            assemble(journal, work, out, config, scale, identity)
    except UserError:
        shutil.rmtree(work)
        raise
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise OSError(errno.ENOSPC, "no space left", str(work)) from None
        raise


def _recover(out: Path) -> None:
    """Mend what a run left that was killed while it put its result in place; refuse what is not ours."""
    old = _aside(out)
    if is_prepared(old):
        if out.exists():
            shutil.rmtree(old)
        else:
            old.rename(out)
    if out.exists() and not is_prepared(out) and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not a prepared data set: choose another OUT or move it away")


def _replace(work: Path, out: Path) -> None:
    """Put the finished work folder in the place of `out`: there is a whole data set at every moment but one,
    and `_recover` knows that one."""
    (work / JOURNAL).unlink(missing_ok=True)
    old = _aside(out)
    if out.exists():
        out.rename(old)
    work.rename(out)
    if old.exists():
        shutil.rmtree(old)


def _aside(out: Path) -> Path:
    return out.with_name(f"{out.name}.old")
