"""Small corpora in the originals' layouts, of seeded mels and sounds."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from made_sounds import RATE, encode_av, save, sound

MELS = "melspec_10s_22050hz"


def mel(seed: int, frames: int = 860) -> NDArray[np.float32]:
    """[80, frames] in [0, 1]: another seed is another mel."""
    random = np.random.default_rng(seed)
    rough = random.uniform(0, 1, (10, frames // 8 + 1))
    return np.kron(rough, np.ones((8, 8)))[:, :frames].astype(np.float32)


def save_mel(path: Path, values: NDArray[np.floating]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
    return path


def vas(folder: Path, clips: dict[str, Iterable[int]]) -> Path:
    """The clips of each class by their numbers; every other mel is float64, as in the published files."""
    seed = 0
    for label, numbers in clips.items():
        for number in numbers:
            values = mel(seed).astype(np.float64 if seed % 2 else np.float32)
            save_mel(folder / "features" / label / MELS / f"video_{number:05d}_mel.npy", values)
            seed += 1
    return folder


def save_video(path: Path, samples: NDArray[np.float32]) -> Path:
    """An .mp4 with this sound as AAC, 22050 Hz mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return encode_av(path, "aac", samples[None], rate=RATE)


def vggsound(folder: Path, names: Iterable[str]) -> Path:
    """One mel for each `<id>_<start ms>_<end ms>`."""
    for seed, name in enumerate(names):
        save_mel(folder / MELS / f"{name}_mel.npy", mel(seed))
    return folder


ESC_HEADER = "filename,fold,target,category,esc10,src_file,take\n"


def esc50(folder: Path) -> Path:
    """Two classes of ESC-10 and one other, each with one recording in each of the five folds."""
    lines = []
    for target, (label, small) in enumerate((("dog", True), ("rain", True), ("cat", False))):
        for fold in range(1, 6):
            source = 100 * target + fold
            name = f"{fold}-{source}-A-{target}.wav"
            save(folder / "audio" / name, sound(source, 0.5))
            lines.append(f"{name},{fold},{target},{label},{small},{source},A\n")
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "esc50.csv").write_text(ESC_HEADER + "".join(lines))
    return folder


def write_lists(folder: Path, corpus: str, **splits: Iterable[str]) -> None:
    for split, lines in splits.items():
        (folder / f"{corpus}_{split}.txt").write_text("".join(f"{line}\n" for line in lines))
