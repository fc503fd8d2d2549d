"""VGGSound as the originals keep it: one flat folder of mels, lists of the split, the official table."""

from pathlib import Path

import pytest

import made_corpora as made
from melgpt.data.config import DataConfig
from melgpt.data.mel_file import SUFFIX
from melgpt.data.prepare import prepare
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.types import MelScale

NAMES = ("--0PQM4-hqg_30000_40000", "abc_def_0_10000", "zz_1_10000_20000", "zz_1_50000_60000")
TABLE = "--0PQM4-hqg,30,waterfall burbling,train\nabc_def,0,x,train\nzz_1,10,x,test\nzz_1,50,x,test\n"


def clips(source: Path, out: Path) -> dict[str, tuple[str, str]]:
    prepare(source, out, DataConfig(), MelScale())
    store = Store.open(out)
    found = (store.clip(row) for row in range(len(store)))
    return {Path(clip.path).name.removesuffix(SUFFIX): (clip.label, clip.split) for clip in found}


def test_lists_with_labels(tmp_path: Path) -> None:
    source = made.vggsound(tmp_path / "vggsound", NAMES)
    made.write_lists(
        tmp_path,
        "vggsound",
        train=[f"{NAMES[0]},dog", f'{NAMES[1]},"baby laughing, crying"'],
        valid=[f"{NAMES[2]},dog"],
        test=[f"{NAMES[3]},dog"],
    )
    assert clips(source, tmp_path / "out") == {
        NAMES[0]: ("dog", "train"),
        NAMES[1]: ("baby laughing, crying", "train"),
        NAMES[2]: ("dog", "valid"),
        NAMES[3]: ("dog", "test"),
    }


def test_labels_of_the_table_with_the_split_of_the_lists(tmp_path: Path) -> None:
    source = made.vggsound(tmp_path / "vggsound", NAMES)
    (source / "vggsound.csv").write_text(TABLE.replace("abc_def,0,x", 'abc_def,0,"x, y"'))
    made.write_lists(source, "vggsound", train=NAMES[1:3], valid=NAMES[:1])
    assert clips(source, tmp_path / "out") == {
        NAMES[0]: ("waterfall burbling", "valid"),
        NAMES[1]: ("x, y", "train"),
        NAMES[2]: ("x", "train"),
    }
    assert "not listed" in (tmp_path / "out" / "audit.csv").read_text()


def test_the_table_alone_gives_test_clips_and_a_split_by_video(tmp_path: Path) -> None:
    source = made.vggsound(
        tmp_path / "vggsound", (*NAMES, *(f"v{i}_{s}_9" for i in range(9) for s in (1, 2)))
    )
    rows = "".join(f"v{i},0,y,train\n" for i in range(9))
    (source / "vggsound.csv").write_text("YouTube ID,start seconds,label,train/test split\n" + TABLE + rows)
    found = clips(source, tmp_path / "out")
    assert {found[name][1] for name in NAMES[2:]} == {"test"}
    assert "test" not in {found[name][1] for name in NAMES[:2]}
    assert "no label" in (tmp_path / "out" / "audit.csv").read_text(), "v0_1_9 starts at no whole second"


def test_names_alone_are_one_class(tmp_path: Path) -> None:
    source = made.vggsound(tmp_path / "vggsound", NAMES)
    made.write_lists(tmp_path, "vggsound", train=NAMES[:2], valid=NAMES[2:])
    found = clips(source, tmp_path / "out")
    assert {label for label, _ in found.values()} == {"vggsound"}
    assert [found[name][1] for name in NAMES] == ["train", "train", "valid", "valid"]


def test_without_lists_the_clips_of_a_video_stay_together(tmp_path: Path) -> None:
    names = [f"v{i}_{start}_{start + 10000}" for i in range(12) for start in (0, 10000, 20000)]
    found = clips(made.vggsound(tmp_path / "vggsound", names), tmp_path / "out")
    for i in range(12):
        assert len({found[name][1] for name in names[3 * i : 3 * i + 3]}) == 1
    assert {split for _, split in found.values()} == {"train", "valid"}


def test_a_table_in_disorder_is_named_with_its_line(tmp_path: Path) -> None:
    source = made.vggsound(tmp_path / "vggsound", NAMES)
    (source / "vggsound.csv").write_text(TABLE + "only one cell\n")
    with pytest.raises(UserError, match=r"vggsound\.csv, line 5"):
        clips(source, tmp_path / "out")
