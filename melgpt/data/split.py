"""Which clips are for training and which for validation: by hash, one source and its duplicates on one side.

A group's side depends on nothing but the names of its sources, so adding files moves no other group.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
TRAIN, VALID, TEST = range(3)
UNKNOWN = 3
"""Above all sides: of several sides the smallest wins, so that nothing goes from training to validation."""

Sides = NDArray[np.int8]


@dataclass(frozen=True)
class Files:
    """The files that hold clips, one entry each."""

    keys: NDArray[np.uint64]
    """Hash of the name of the source."""
    labels: NDArray[np.int64]
    given: Sides
    """Side that the user gave, or UNKNOWN."""
    earlier: Sides
    """Side in the data set that this one replaces, or UNKNOWN."""


def hash_key(source: str) -> int:
    """64 bits of the sha256 of a source's name."""
    return int.from_bytes(hashlib.sha256(source.encode()).digest()[:8], "big")


def assign(files: Files, links: NDArray[np.int64], valid_fraction: float) -> Sides:
    """The side of each file; `links` [L, 2] are pairs of files with the same sound.

    Given sides stay. The other files of a group follow them, then the side that the group had before, then
    the smallest hash of its sources. Every label keeps a training file and validation gets a group, where
    that is possible; a label's training comes first.
    """
    groups = _groups(files.keys, links)
    count = int(groups.max()) + 1
    hashes = np.full(count, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(hashes, groups, files.keys)
    sides = np.where(hashes < np.uint64(int(valid_fraction * 2**64)), VALID, TRAIN).astype(np.int8)
    for known in (files.earlier, files.given):
        best = np.full(count, UNKNOWN, np.int8)
        np.minimum.at(best, groups, known)
        sides = np.where(best == UNKNOWN, sides, best)
    _Balance(files, groups, hashes, sides).mend()
    return np.where(files.given == UNKNOWN, sides[groups], files.given).astype(np.int8)


def take_validation(files: Files, sides: Sides, links: NDArray[np.int64], valid_fraction: float) -> Sides:
    """The sides where none of them is for validation: recordings of the training files are taken for it.

    Test files stay, and so does a training file that is the only one of its label.
    """
    training = np.flatnonzero(sides == TRAIN)
    if (sides == VALID).any() or not len(training):
        return sides
    earlier = files.earlier[training]
    part = Files(
        files.keys[training],
        np.unique(files.labels[training], return_inverse=True)[1],
        np.full(len(training), UNKNOWN, np.int8),
        earlier if (earlier == VALID).any() else np.full(len(training), UNKNOWN, np.int8),
    )
    inside = np.searchsorted(training, links[np.isin(links, training).all(1)])
    changed = sides.copy()
    changed[training] = assign(part, inside, valid_fraction)
    return changed


@dataclass(frozen=True)
class Clips:
    """The clips of all files, one entry each, in the order of the files and of their starts."""

    files: NDArray[np.int64]
    """Place of the clip's file."""
    sides: Sides


def hold_out_ends(clips: Clips, files: Files, links: NDArray[np.int64], valid_fraction: float) -> Clips:
    """The last clips of each label that has one recording alone are for validation, at least one of them.

    Clips do not overlap, so none is on both sides. A given side stays, unless nothing at all is for
    validation. A recording that is in other files, too, is left as it is.
    """
    free = np.ones(len(files.keys), bool)
    if (clips.sides == VALID).any():
        free = files.given == UNKNOWN
    groups = _groups(files.keys, links)
    free &= ~np.isin(groups, groups[links.ravel()])
    labels, sides = files.labels[clips.files], clips.sides.copy()
    order = np.flatnonzero(clips.sides != TEST)
    order = order[np.argsort(labels[order], kind="stable")]
    for own in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        places = clips.files[own]
        alone = len(own) > 1 and (clips.sides[own] == TRAIN).all() and len(np.unique(groups[places])) == 1
        if alone and free[places].all():
            last = min(max(1, round(valid_fraction * len(own))), len(own) - 1)
            sides[own[-last:]] = VALID
    return Clips(clips.files, sides)


def _groups(keys: NDArray[np.uint64], links: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the group of each file: joined by equal keys and by links."""
    _, sources = np.unique(keys, return_inverse=True)
    count = len(keys)
    rows = np.concatenate([np.arange(count), links[:, 0]])
    columns = np.concatenate([sources + count, links[:, 1]])
    size = count + int(sources.max()) + 1
    graph = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=(size, size))
    joined = connected_components(graph, directed=False)[1][:count]
    return np.unique(joined, return_inverse=True)[1].astype(np.int64)


class _Balance:
    """Moves whole groups without a given side until labels have training and validation has something."""

    def __init__(
        self, files: Files, groups: NDArray[np.int64], hashes: NDArray[np.uint64], sides: Sides
    ) -> None:
        self.files, self.groups, self.sides = files, groups, sides
        self.by_hash = np.argsort(hashes, kind="stable")
        self.free = np.ones(len(hashes), bool)
        self.free[groups[files.given != UNKNOWN]] = False
        self.order = np.argsort(groups, kind="stable")
        self.edges = np.searchsorted(groups[self.order], np.arange(len(hashes) + 1))

    def mend(self) -> None:
        training = self._training()
        for group in self.by_hash[::-1]:
            labels = self._labels(group)
            if self.free[group] and self.sides[group] == VALID and (training[labels] == 0).any():
                self.sides[group] = TRAIN
                np.add.at(training, labels, 1)
        if (self._now() == VALID).any() or not self.free.any():
            return
        for group in self.by_hash:
            labels = self._labels(group)
            rest = training - np.bincount(labels, minlength=len(training))
            if self.free[group] and self.sides[group] == TRAIN and (rest[labels] > 0).all():
                self.sides[group] = VALID
                return

    def _labels(self, group: int) -> NDArray[np.int64]:
        """The label of each file of a group."""
        return self.files.labels[self.order[self.edges[group] : self.edges[group + 1]]]

    def _now(self) -> Sides:
        return np.where(self.files.given == UNKNOWN, self.sides[self.groups], self.files.given)

    def _training(self) -> NDArray[np.int64]:
        """Training files of each label."""
        return np.bincount(
            self.files.labels[self._now() == TRAIN], minlength=int(self.files.labels.max()) + 1
        )
