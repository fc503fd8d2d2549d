"""VAS in the originals' layout (Chen et al. 2020, https://github.com/PeihaoChen/regnet; SpecVQGAN's mels).

    features/<class>/melspec_10s_22050hz/<video>_mel.npy    finished mels [80, 860]
    videos/<class>/<video>.mp4                              the sound of classes without mels
    vas_train.txt, vas_valid.txt                            lines <class>/<video>, here or in the folder above

Without the lists the split is the published one, from a table: each class is one range of numbers, and its
end is for validation. Any corpus in this layout is read; classes that the table lacks are split by hash.
"""

import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from melgpt.data.audit import MISSING, NOT_LISTED
from melgpt.data.config import DataConfig
from melgpt.data.fetch import MELS
from melgpt.data.mel_file import SUFFIX
from melgpt.data.metadata import Row
from melgpt.data.originals import SCALE, check_scale
from melgpt.data.passed_over import PassedOver
from melgpt.data.scan import Source, file_source, note_unlisted
from melgpt.data.split_lists import SplitLists, read_lists
from melgpt.types import MelScale

FEATURES, VIDEOS = "features", "videos"
_NUMBERED = re.compile(r"video_(\d{5})")
_TABLE = Path(__file__).parent / "tables" / "vas_split.csv"


def recognises(folder: Path) -> bool:
    """Whether a folder, or a folder called `features`, is in this layout."""
    return bool(_mel_folders(folder)) or any(
        _NUMBERED.fullmatch(video.stem)
        for place in _video_folders(folder).values()
        for video in _videos(place)
    )


def sources(folder: Path, config: DataConfig, scale: MelScale, passed: PassedOver) -> Iterator[Source]:
    """Every clip with its class and split; files other than .mp4 in place of videos go into `passed`.

    Raises UserError for another scale where there are mels alone.
    """
    lists = read_lists(folder, "vas")
    places = {label: (place, SUFFIX) for label, place in _mel_folders(folder).items()}
    videos = {label: (place, ".mp4") for label, place in _video_folders(folder).items()}
    if scale != MelScale.preset(SCALE):
        if places.keys() - videos.keys():
            check_scale(scale, str(folder))
        places = {}
    found = {**videos, **places}
    for label, (place, suffix) in sorted(found.items()):
        yield from _of_class(folder, label, place, suffix, lists)
    for label in sorted({name.partition("/")[0] for name in lists.clips} - found.keys()):
        yield _missing(label, count := sum(name.startswith(f"{label}/") for name in lists.clips), count)
    for place in sorted((folder / VIDEOS).glob("[!.]*")):
        if place.is_dir() and place.name not in places:
            taken = {path.name for path in _videos(place)}
            note_unlisted(place, "the layout of VAS, whose videos are .mp4", taken, passed)


def published_split(label: str, video: str) -> str:
    """`train` or `valid` of `video_01234` of a class; empty where the published split does not know it."""
    number = _NUMBERED.fullmatch(video)
    if number is None:
        return ""
    return next(
        (split for name, split, first, last in _table() if name == label and first <= int(number[1]) <= last),
        "",
    )


def _of_class(folder: Path, label: str, place: Path, suffix: str, lists: SplitLists) -> Iterator[Source]:
    listed = {name for name in lists.clips if name.startswith(f"{label}/")}
    missing = len(listed)
    for path in _videos(place) if suffix == ".mp4" else sorted(place.glob(f"[!.]*{suffix}")):
        video = path.name[: -len(suffix)]
        name = f"{label}/{video}"
        missing -= name in listed
        side = lists.clips.get(name)
        split = side.split if side else "" if lists.splits else published_split(label, video)
        row = Row(path.relative_to(folder).as_posix(), label, split, name)
        unlisted = side is None and lists.complete
        yield file_source(
            folder,
            row,
            problem=NOT_LISTED if unlisted else "",
            detail="in none of the lists of the split" if unlisted else "",
        )
    if missing:
        yield _missing(label, missing, len(listed))


def _missing(label: str, missing: int, listed: int) -> Source:
    detail = f"{missing} of {listed} clips of '{label}' in the lists are not here"
    return Source(f"{label}/", label, f"source {label}/", "", -1, 0, MISSING, detail)


def _mel_folders(folder: Path) -> dict[str, Path]:
    """Where the mels of each class lie."""
    base = folder / FEATURES if (folder / FEATURES).is_dir() else folder
    places = {path.parent.name: path for path in sorted(base.glob(f"[!.]*/{MELS}"))}
    return {label: path for label, path in places.items() if any(path.glob(f"[!.]*{SUFFIX}"))}


def _video_folders(folder: Path) -> dict[str, Path]:
    places = sorted((folder / VIDEOS).glob("[!.]*"))
    return {path.name: path for path in places if path.is_dir() and _videos(path)}


def _videos(place: Path) -> list[Path]:
    return sorted(place.glob("[!.]*.mp4"))


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[str, str, int, int], ...]:
    """Class, split, first and last number of each range."""
    with open(_TABLE, encoding="utf-8", newline="") as file:
        return tuple(
            (row["class"], row["split"], int(row["first"]), int(row["last"])) for row in csv.DictReader(file)
        )
