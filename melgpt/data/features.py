"""Features of the videos beside a prepared data set, memory-mapped: one record a clip.

    DATA/features/features.json  format, fingerprint of the data, depth D, frames a second, number type
    DATA/features/index.npy      first frame and number of frames of each clip
    DATA/features/values.bin     features [frames, D], one clip after the other

A clip that starts later in its file has the frames from there on.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from melgpt.arguments import command_line
from melgpt.conditioning.frames import FramesConfig
from melgpt.config import Config
from melgpt.data.feature_pickle import read_features
from melgpt.data.mel_file import SUFFIX as MEL_SUFFIX
from melgpt.data.store import Store
from melgpt.data.walk import is_hidden
from melgpt.errors import UserError
from melgpt.progress import progress
from melgpt.types import Clip

FOLDER = "features"
MANIFEST = "features.json"
INDEX_FILE = "index.npy"
VALUES = "values.bin"
INDEX = np.dtype([("first", "<i8"), ("frames", "<i4")])
RATE = 21.5
"""Feature frames a second in the originals' files."""


class FeatureManifest(Config):
    """What a feature store says of itself."""

    format: Literal[1] = 1
    """Version of the format."""
    data: str
    """Fingerprint of the data set that it belongs to."""
    depth: int = Field(ge=1)
    """Length D of a frame's features."""
    rate: float = Field(RATE, gt=0)
    """Frames a second."""
    dtype: Literal["float16", "float32"] = "float16"
    """Type of the numbers."""
    digest: str = ""
    """16 hex digits that change with any of the numbers."""


def read_joined(paths: Sequence[Path]) -> NDArray[np.float32]:
    """Features [T, D] of one video from several files side by side, such as rgb and flow: 1024 + 1024.

    Raises UserError for a file that cannot be read and for files of different lengths.
    """
    parts = [read_features(Path(path)) for path in paths]
    if not parts:
        raise UserError("no feature file was given; give for example rgb.pkl,flow.pkl")
    if len({len(part) for part in parts}) > 1:
        each = ", ".join(f"{path} {len(part)}" for path, part in zip(paths, parts, strict=True))
        raise UserError(f"feature files of one video need the same number of frames, not {each}")
    return np.concatenate(parts, axis=1)


class FeatureStore:
    """Features of a data set's clips, opened for reading; rows are those of the data set."""

    def __init__(self, folder: Path, manifest: FeatureManifest) -> None:
        self.folder, self.manifest = folder, manifest
        self.depth, self.rate = manifest.depth, manifest.rate
        try:
            self._index = np.load(folder / INDEX_FILE, mmap_mode="r")
            values = np.memmap(folder / VALUES, np.dtype(manifest.dtype).newbyteorder("<"), "r")
            self._values = values.reshape(-1, self.depth)
            whole = self._index.dtype == INDEX and self._index["frames"].sum() == len(self._values)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{folder} is damaged ({error}): attach the features again") from None
        if not whole:
            raise UserError(f"{folder} is damaged: attach the features again")

    @classmethod
    def open(cls, data: Path, fingerprint: str) -> Self:
        """The features of a prepared data set. Raises UserError where it has none, or those of another."""
        folder = data / FOLDER
        try:
            values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"{data} has no features of its videos, which this conditioning needs: attach them with "
                f"{command_line('features', data, 'FOLDER')}, or take prior.conditioning.kind=class_label"
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(f"{folder / MANIFEST} is damaged ({error}): attach the features again") from None
        manifest = FeatureManifest.parse(values if isinstance(values, dict) else {}, where=MANIFEST)
        if manifest.data != fingerprint:
            raise UserError(f"{folder} belongs to an earlier state of {data}: attach the features again")
        return cls(folder, manifest)

    @classmethod
    def write(cls, data: Path, manifest: FeatureManifest, clips: Iterable[NDArray[np.float32]]) -> Self:
        """Store features [T, D] of each clip in turn: whole or not at all."""
        folder, work = data / FOLDER, data / f"{FOLDER}.partial"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        kind = np.dtype(manifest.dtype).newbyteorder("<")
        records, first, digest = [], 0, hashlib.sha256()
        with open(work / VALUES, "wb") as file:
            for features in clips:
                with np.errstate(over="ignore"):
                    values = features.astype(kind)
                if not np.isfinite(values).all():
                    raise UserError("a feature is too large for float16: store them as float32")
                file.write(content := values.tobytes())
                digest.update(content)
                records.append((first, len(values)))
                first += len(values)
        np.save(work / INDEX_FILE, np.array(records, INDEX))
        manifest = manifest.changed(digest=digest.hexdigest()[:16])
        (work / MANIFEST).write_text(json.dumps(manifest.plain()) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
        return cls(folder, manifest)

    def __reduce__(self) -> tuple[type[Self], tuple[Path, FeatureManifest]]:
        """Another process opens the files anew instead of receiving copies of the maps."""
        return type(self), (self.folder, self.manifest)

    def __len__(self) -> int:
        return len(self._index)

    def clip(self, row: int) -> NDArray[np.float32]:
        """Features [T, D] of a clip."""
        record = self._index[row]
        first = int(record["first"])
        return self._values[first : first + int(record["frames"])].astype(np.float32)


_NO_CLASSES = {"features", "videos", "melspec_10s_22050hz"}
"""Folders of the originals' layouts that are shared by all classes."""


class Videos:
    """What a prior is shown of the videos of a data set's clips."""

    def __init__(self, features: FeatureStore, config: FramesConfig) -> None:
        self.features, self.config = features, config

    def __call__(self, row: int) -> torch.Tensor:
        """Frames [T, D] of a clip."""
        return self.config.see(torch.from_numpy(self.features.clip(row)))


def attach_features(
    data: Path,
    find: Callable[[Clip], Sequence[Path]],
    *,
    rate: float = RATE,
    dtype: Literal["float16", "float32"] = "float16",
) -> FeatureStore:
    """Fill the feature store of a prepared data set; `find` gives the files of a clip's whole video.

    rate: frames a second in these files. Raises UserError where a clip has no features or another depth.
    """
    store = Store.open(data)
    lacking = [row for row in range(len(store)) if not find(store.clip(row))]
    if lacking:
        raise UserError(
            f"{len(lacking)} of {len(store)} clips of {data} have no features, first "
            f"{store.clip(lacking[0]).path}"
        )
    depth = read_joined(find(store.clip(0))).shape[1]
    manifest = FeatureManifest.parse(
        {"data": store.fingerprint, "depth": depth, "rate": rate, "dtype": dtype}
    )
    return FeatureStore.write(data, manifest, _cut(store, find, manifest))


def _cut(
    store: Store, find: Callable[[Clip], Sequence[Path]], manifest: FeatureManifest
) -> Iterator[NDArray[np.float32]]:
    """The frames of each clip."""
    with progress("features", len(store)) as bar:
        for clip in map(store.clip, range(len(store))):
            features = read_joined(find(clip))
            if features.shape[1] != manifest.depth:
                raise UserError(
                    f"features of {clip.path} have depth {features.shape[1]}, those before {manifest.depth}"
                )
            first = round(clip.start * manifest.rate)
            piece = features[first : first + max(1, round(clip.seconds * manifest.rate))]
            if not len(piece):
                raise UserError(f"features of {clip.path} end before {clip.start} s, where a clip starts")
            yield piece
            bar.advance()


def in_folder(folder: Path, kinds: Sequence[str] = ()) -> Callable[[Clip], list[Path]]:
    """Finds a clip's files below a folder, as the originals lay them out: CLASS/feature_KIND_…/NAME.pkl.

    NAME is that of the sound's file; rgb comes before flow. Without classes, the levels may be KIND/NAME.pkl
    or NAME.pkl alone. kinds: words that the folder of a kind must contain one of, such as `rgb` and `flow`.
    """
    if not folder.is_dir():
        raise UserError(f"the folder of features {folder} does not exist")
    files = (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in (".pkl", ".npy") and not is_hidden(path.name)
    )
    places = [
        PurePosixPath(path.relative_to(folder).as_posix()) for path in files if not path.stem.endswith("_mel")
    ]
    if unknown := [kind for kind in kinds if not any(kind in place.parent.name for place in places)]:
        raise UserError(f"no folder with features below {folder} has '{unknown[0]}' in its name")
    known: dict[str, list[PurePosixPath]] = {}
    for place in places:
        if not kinds or any(kind in place.parent.name for kind in kinds):
            known.setdefault(place.stem, []).append(place)

    def find(clip: Clip) -> list[Path]:
        sound = PurePosixPath(clip.path)
        # The originals' mels carry a word more in their names than their features do.
        name = sound.name.removesuffix(MEL_SUFFIX) if sound.name.endswith(MEL_SUFFIX) else sound.stem
        found = known.get(name, [])
        # Another class may have a video of the same name, so a third level must be this clip's class.
        chosen = [place for place in found if clip.label in place.parts[:-1]]
        shared = set(sound.parts[:-1]) - _NO_CLASSES
        chosen = chosen or [place for place in found if shared & set(place.parts[:-1])]
        chosen = chosen or [place for place in found if len(place.parts) <= 2]
        return [folder / place for place in sorted(chosen, key=lambda p: ("flow" in p.parent.name, p))]

    return find
