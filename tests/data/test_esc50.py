"""ESC-50 as published: the table gives classes, folds give the split."""

from pathlib import Path

import pytest

import made_corpora as made
from made_sounds import save, sound
from melgpt.data.config import DataConfig
from melgpt.data.prepare import prepare
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.types import MelScale


def prepared(source: Path, out: Path, **options: object) -> Store:
    prepare(source, out, DataConfig.parse(options), MelScale())
    return Store.open(out)


def folds(store: Store, split: str) -> set[str]:
    return {Path(store.clip(int(row)).path).name[0] for row in store.rows(split)}


def test_the_fifth_fold_is_for_validation(tmp_path: Path) -> None:
    store = prepared(made.esc50(tmp_path / "esc"), tmp_path / "out")
    assert store.labels == ("cat", "dog", "rain")
    assert len(store) == 15
    assert (folds(store, "train"), folds(store, "valid")) == (set("1234"), set("5"))


def test_other_folds_can_be_held_out(tmp_path: Path) -> None:
    store = prepared(made.esc50(tmp_path / "esc"), tmp_path / "out", valid_fold=2, test_fold=1)
    assert [folds(store, split) for split in ("train", "valid", "test")] == [set("345"), {"2"}, {"1"}]
    with pytest.raises(UserError, match="must differ"):
        DataConfig.parse({"valid_fold": 2, "test_fold": 2})


def test_esc10_is_its_ten_classes(tmp_path: Path) -> None:
    store = prepared(made.esc50(tmp_path / "esc"), tmp_path / "out", only="esc10")
    assert store.labels == ("dog", "rain")


def test_files_that_the_table_lists_and_the_folder_lacks_are_in_the_audit(tmp_path: Path) -> None:
    source = made.esc50(tmp_path / "esc")
    (source / "audio" / "1-1-A-0.wav").unlink()
    assert len(prepared(source, tmp_path / "out")) == 14
    assert "audio/1-1-A-0.wav,0.0,missing" in (tmp_path / "out" / "audit.csv").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("filename,fold,category\n", "the column 'src_file' is missing"),
        (f"{made.ESC_HEADER}../a.wav,1,0,dog,True,1,A\n", "line 2"),
        (f"{made.ESC_HEADER}a.wav,one,0,dog,True,1,A\n", "line 2"),
        (f"{made.ESC_HEADER}a.wav,1,0\n", "line 2"),
    ],
)
def test_a_table_in_disorder_is_refused(text: str, words: str, tmp_path: Path) -> None:
    source = made.esc50(tmp_path / "esc")
    (source / "meta" / "esc50.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        prepared(source, tmp_path / "out")


def test_sounds_that_the_table_does_not_name_are_counted(tmp_path: Path) -> None:
    source = made.esc50(tmp_path / "esc")
    save(source / "audio" / "6-1-A-0.wav", sound(1, 0.5))
    result = prepare(source, tmp_path / "out", DataConfig(), MelScale())
    assert "not in meta/esc50.csv: 1 .wav" in result.report()
