"""VGGSound in the originals' layout (Chen et al. 2020, https://arxiv.org/abs/2004.14368; SpecVQGAN's mels).

    melspec_10s_22050hz/<id>_<start ms>_<end ms>_mel.npy       finished mels [80, 860], all in one folder
    vggsound_train.txt, vggsound_valid.txt, vggsound_test.txt  lines <id>_<start ms>_<end ms>[,label]
    vggsound.csv                                               YouTube id, start seconds, label, train or test

Lists and table lie here or in the folder above. The lists decide the split. Without them the table's test
clips are for testing and the rest is split by hash, clips of one video on one side. Labels are the table's
or those in the lists; where there are neither, all clips are one class, called as the folder.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from melgpt.data.audit import MISSING, NO_LABEL, NOT_LISTED
from melgpt.data.config import DataConfig
from melgpt.data.fetch import MELS
from melgpt.data.mel_file import SUFFIX
from melgpt.data.metadata import Row
from melgpt.data.originals import check_scale
from melgpt.data.passed_over import PassedOver
from melgpt.data.scan import Source, file_source
from melgpt.data.split_lists import Listed, places_of_tables, read_lists
from melgpt.errors import UserError
from melgpt.types import MelScale

TABLE = "vggsound.csv"
CLIP_MS = 10_000
_VIDEO = re.compile(r"(.+)_\d+_\d+")


def recognises(folder: Path) -> bool:
    """Whether a folder is in this layout."""
    return any((folder / MELS).glob(f"[!.]*{SUFFIX}"))


def sources(folder: Path, config: DataConfig, scale: MelScale, passed: PassedOver) -> Iterator[Source]:
    """Every clip with its class and split. Raises UserError for another scale and for a damaged table."""
    check_scale(scale, str(folder / MELS))
    lists = read_lists(folder, "vggsound")
    tables = (place / TABLE for place in places_of_tables(folder))
    table = _read_table(next((path for path in tables if path.is_file()), None))
    labelled = bool(table) or any(clip.label for clip in lists.clips.values())
    own_name = unicodedata.normalize("NFC", folder.resolve().name or "vggsound")
    missing = len(lists.clips)
    for path in sorted((folder / MELS).glob(f"[!.]*{SUFFIX}")):
        name = path.name.removesuffix(SUFFIX)
        listed, official = lists.clips.get(name), table.get(name)
        missing -= listed is not None
        label = (listed and listed.label) or (official and official.label) or ("" if labelled else own_name)
        split = listed.split if listed else official.split if official and not lists.splits else ""
        problem, detail = "", ""
        if listed is None and lists.complete:
            problem, detail = NOT_LISTED, "in none of the lists of the split"
        elif not label:
            problem, detail = NO_LABEL, f"not in {TABLE}, and the lists give it no label"
        video = _VIDEO.fullmatch(name)
        row = Row(f"{MELS}/{path.name}", label, split, video[1] if video else name)
        yield file_source(folder, row, problem=problem, detail=detail)
    if missing:
        detail = f"{missing} of {len(lists.clips)} clips in the lists are not here"
        yield Source(f"{MELS}/", "", f"source {MELS}/", "", -1, 0, MISSING, detail)


def _read_table(path: Path | None) -> dict[str, Listed]:
    """Label and split of each clip by the name of its mel; only that of test clips has a split."""
    if path is None:
        return {}
    clips = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True)
            for cells in reader:
                if len(cells) >= 4 and cells[1].strip().isdigit():
                    start = int(cells[1]) * 1000
                    name = f"{cells[0].strip()}_{start}_{start + CLIP_MS}"
                    label = unicodedata.normalize("NFC", cells[2].strip())
                    clips[name] = Listed("test" if cells[3].strip() == "test" else "", label)
                elif cells and reader.line_num > 1:  # the first line may be a header
                    raise UserError(
                        f"{path}, line {reader.line_num}: expected YouTube id, start seconds, label, "
                        f"train or test; found {','.join(cells)[:80]}"
                    )
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a table in UTF-8: {error}") from None
    return clips
