"""Feature files: arrays are read, nothing else runs."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from conftest import SHARED
from melgpt.data.feature_pickle import read_features
from melgpt.errors import UserError

FEATURES = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def write(path: Path, content: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "content",
    [
        FEATURES,
        FEATURES.astype(">f4"),
        FEATURES.astype(np.float64),
        np.asfortranarray(FEATURES),
        FEATURES[::2],
        (FEATURES * 10).astype(np.int16),
        FEATURES.astype(np.float16),
        list(FEATURES),
        tuple(FEATURES),
        FEATURES.tolist(),
        [list(row) for row in FEATURES],
        {"features": FEATURES},
    ],
    ids=["f4", ">f4", "f8", "F", "strided", "i2", "f2", "list", "tuple", "numbers", "scalars", "dict"],
)
def test_arrays_are_read_as_numpy_does(tmp_path: Path, content: object, protocol: int) -> None:
    expected = content["features"] if isinstance(content, dict) else np.asarray(content, np.float32)
    assert np.array_equal(read_features(write(tmp_path / "a.pkl", content, protocol)), expected)


def test_a_file_of_python_2_is_read(tmp_path: Path) -> None:
    raw = FEATURES.tobytes()
    text = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x04K\x03\x86"
        b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    )
    (tmp_path / "a.pkl").write_bytes(text + b"T" + struct.pack("<i", len(raw)) + raw + b"tb.")
    assert np.array_equal(read_features(tmp_path / "a.pkl"), FEATURES)


def test_a_numpy_file_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", FEATURES)
    assert np.array_equal(read_features(tmp_path / "a.npy"), FEATURES)


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("inside", [lambda bomb: bomb, lambda bomb: [FEATURES, {"a": (bomb,)}]])
def test_nothing_runs(tmp_path: Path, inside: object, protocol: int) -> None:
    file = write(tmp_path / "a.pkl", inside(Bomb(tmp_path / "ran")), protocol)
    with pytest.raises(UserError, match=r"asks for \w+\.open"):
        read_features(file)
    assert not (tmp_path / "ran").exists()


def test_code_inside_a_numpy_file_does_not_run(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([Bomb(tmp_path / "ran")], object), allow_pickle=True)
    with pytest.raises(UserError, match="holds no array of features"):
        read_features(tmp_path / "a.npy")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.array([["a", "b"]]), "not of numbers"),
        (np.array([[{}, []]], object), "not of numbers"),
        (np.zeros((2, 2), "f4,i4"), "not of numbers"),
        (FEATURES[0], r"an array \(3,\)"),
        (FEATURES[None], r"an array \(1, 4, 3\)"),
        (FEATURES[:0], r"an array \(0, 3\)"),
        ({"rgb": FEATURES, "flow": FEATURES}, "no array of features"),
        (np.array([[np.nan, 1.0]]), "no finite numbers"),
        ("features", "no array of features"),
        ([FEATURES[0], FEATURES[0][:2]], "no array of features"),
    ],
)
def test_what_holds_no_features_is_refused(tmp_path: Path, content: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_features(write(tmp_path / "a.pkl", content, 4))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_cut_file_is_refused(tmp_path: Path, share: float) -> None:
    whole = pickle.dumps(FEATURES)
    (tmp_path / "a.pkl").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"a\.pkl holds no array of features, or is damaged"):
        read_features(tmp_path / "a.pkl")


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_an_array_that_claims_more_than_its_bytes_is_refused(tmp_path: Path, protocol: int) -> None:
    changed = pickle.dumps(FEATURES, protocol).replace(b"K\x04K\x03", b"K\x44K\x03")
    (tmp_path / "a.pkl").write_bytes(changed)
    with pytest.raises(UserError, match="48 bytes are no array"):
        read_features(tmp_path / "a.pkl")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such feature file"):
        read_features(tmp_path / "a.pkl")


def test_the_originals_files_are_read() -> None:
    folder = SHARED / "data" / "vas_sample" / "features"
    files = sorted(folder.rglob("*.pkl"))
    if not files:
        pytest.skip(f"the sample of VAS is not here ({folder})")
    for file in files:
        features = read_features(file)
        assert features.shape[0] in (215, 216)
        assert f"dim{features.shape[1]}_" in file.parent.name
        assert features.min() >= 0
