"""Corpora from where they are published into the layouts that `prepare` reads.

VAS and VGGSound: the mel spectrograms (and visual features) of SpecVQGAN (https://github.com/v-iashin/SpecVQGAN),
each archive checked against the published md5. ESC-50: https://github.com/karolpiczak/ESC-50, no checksum.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from melgpt.data.download import FetchError, Remote, download
from melgpt.data.unpack import unpack
from melgpt.errors import UserError, closest
from melgpt.paths import atomic
from melgpt.progress import say

TABLES = Path(__file__).parent / "tables"
SPECVQGAN = "https://a3s.fi/swift/v1/AUTH_a235c0f452d648828f745589cde1219a/specvqgan_public"
ESC = "https://github.com/karolpiczak/ESC-50"
MELS = "melspec_10s_22050hz"
VISUAL = (
    "feature_rgb_bninception_dim1024_21.5fps",
    "feature_flow_bninception_dim1024_21.5fps",
    "feature_resnet50_dim2048_21.5fps",
)
VAS_CLASSES = ("baby", "cough", "dog", "drum", "fireworks", "gun", "hammer", "sneeze")
VGGSOUND_PARTS = tuple(f"{number:02d}" for number in range(1, 65))
ARCHIVES = "downloads"
"""Below the corpus: archives, what is half fetched, and a list of what each archive brought."""


@dataclass(frozen=True)
class Archive:
    """One archive of a corpus."""

    path: str
    """Below the base address."""
    name: str
    place: Callable[[tuple[str, ...]], PurePosixPath | None]
    needed: str = ""
    """A file that must have come out of it."""


@dataclass(frozen=True)
class Corpus:
    """A corpus that can be fetched."""

    base: str
    """Address that all archives lie below."""
    md5: Path | None
    """The list of checksums."""
    pieces: tuple[str, ...]
    """What `only` chooses from."""
    archives: Callable[[tuple[str, ...], bool], list[Archive]]


def vas_archives(classes: tuple[str, ...], visual: bool) -> list[Archive]:
    """The archives of these classes, with the features of the videos where they are wanted."""
    return [
        Archive(f"vas/{name}", name, _in_folder(kind, label, f"features/{label}"))
        for label in classes
        for kind in (MELS, *(VISUAL if visual else ()))
        for name in (f"{label}_{kind}.tar",)
    ]


def vggsound_archives(parts: tuple[str, ...], visual: bool) -> list[Archive]:
    """The archives of these parts, with the features of the videos where they are wanted."""
    return [
        Archive(f"vggsound/{name}", name, _in_folder(kind, "vggsound", "."))
        for part in parts
        for kind in (MELS, *(VISUAL if visual else ()))
        for name in (f"{kind}_{part}.tar",)
    ]


def esc50_archives(parts: tuple[str, ...], visual: bool) -> list[Archive]:
    """The one archive. Raises UserError for visual features, which a corpus of sounds does not have."""
    if visual:
        raise UserError("esc50 is made of sounds, it has no visual features: leave --features out")
    return [Archive("archive/master.zip", "ESC-50-master.zip", _without_top, "meta/esc50.csv")]


CORPORA = {
    "vas": Corpus(SPECVQGAN, TABLES / "vas.md5", VAS_CLASSES, vas_archives),
    "vggsound": Corpus(SPECVQGAN, TABLES / "vggsound.md5", VGGSOUND_PARTS, vggsound_archives),
    "esc50": Corpus(ESC, None, (), esc50_archives),
}


@dataclass(frozen=True)
class Wish:
    """What to fetch of a corpus."""

    only: tuple[str, ...] = ()
    """Classes or parts; all where none is named."""
    visual: bool = False
    """The features of the videos, too."""
    keep: bool = False
    """Keep the archives after unpacking."""
    base: str = ""
    """Another address than the published one, such as a mirror."""
    md5: Path | None = None
    """Another list of checksums than the published one."""


def fetch(name: str, folder: Path, wish: Wish) -> None:
    """Fetch a corpus into `folder`; what an earlier run has finished is not fetched again.

    Goes on with the next archive where one fails. Raises UserError for an unknown corpus or piece before
    anything is fetched, and at the end where anything failed, with the list of it.
    """
    if name not in CORPORA:
        raise UserError(f"unknown corpus '{name}'{closest(name, list(CORPORA))}")
    corpus = CORPORA[name]
    archives = corpus.archives(_pieces(name, corpus, wish.only), wish.visual)
    sums = read_md5(wish.md5 or corpus.md5)
    if sums and (unknown := [archive.name for archive in archives if archive.name not in sums]):
        raise UserError(f"{wish.md5 or corpus.md5} has no checksum of {unknown[0]}")
    failed = []
    for number, archive in enumerate(archives, 1):
        remote = Remote(
            f"{(wish.base or corpus.base).rstrip('/')}/{archive.path}", sums.get(archive.name, "")
        )
        try:
            news = _fetch_archive(remote, archive, folder, wish.keep)
            say(f"{number}/{len(archives)} {archive.name}: {news}")
        except UserError as error:
            failed.append(archive.name)
            say(f"{number}/{len(archives)} {archive.name}: FAILED: {error}")
    if failed:
        raise UserError(
            f"{len(failed)} of {len(archives)} archives of {name} are not here: {', '.join(failed)}; the "
            "reasons stand above; run the same command again to fetch just these"
        )


def read_md5(path: Path | None) -> dict[str, str]:
    """Checksums by the name of the file, from a list of md5sum. Raises UserError for another file."""
    if path is None:
        return {}
    sums = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                digest, name = line.split(maxsplit=1)
                sums[PurePosixPath(name.lstrip("*")).name] = digest.lower()
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a list of md5 sums as md5sum writes it: {error}") from None
    return sums


def _pieces(name: str, corpus: Corpus, only: tuple[str, ...]) -> tuple[str, ...]:
    for piece in only:
        if not corpus.pieces:
            raise UserError(
                f"{name} comes as one archive: leave --only out, and choose classes when it is prepared, "
                "with data.only=esc10 or data.only=dog,rain"
            )
        if piece not in corpus.pieces:
            raise UserError(f"{name} has no part '{piece}'{closest(piece, corpus.pieces)}")
    return tuple(dict.fromkeys(only)) or corpus.pieces


def _fetch_archive(remote: Remote, archive: Archive, folder: Path, keep: bool) -> str:
    """Fetch and unpack one archive; in a few words, what was done."""
    target = folder / ARCHIVES / archive.name
    done = target.with_name(f"{target.name}.done")
    if _is_unpacked(done, remote.md5, folder):
        return "already here"
    download(remote, target)
    try:
        names = unpack(target, folder, archive.place, needed=archive.needed)
    except UserError as error:
        target.unlink()  # without a checksum, a damaged archive would be taken for a whole one next time
        raise FetchError(f"{error}; it was removed") from None
    with atomic(done) as temporary:
        temporary.write_text("\n".join([remote.md5, *names]) + "\n", encoding="utf-8")
    if not keep:
        target.unlink()
    return f"{len(names)} files"


def _is_unpacked(done: Path, md5: str, folder: Path) -> bool:
    """Whether an earlier run unpacked just this archive and all its files are still there."""
    try:
        digest, *names = done.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return digest == md5 and all((folder / name).is_file() for name in names)


def _in_folder(kind: str, group: str, home: str) -> Callable[[tuple[str, ...]], PurePosixPath | None]:
    """Members `[features/][<group>/][<kind>/]<file>` go to `<home>/<kind>/<file>`, others are refused."""

    def place(parts: tuple[str, ...]) -> PurePosixPath | None:
        *folders, file = parts
        if file.startswith("."):  # what file managers leave
            return None
        while folders and folders[0] in ("features", "downloaded_features", "data", "vas", group):
            folders.pop(0)
        if folders not in ([], [kind]):
            raise UserError(f"the archive holds '{'/'.join(parts)}', expected files in {kind}/: not unpacked")
        return PurePosixPath(home) / kind / file

    return place


def _without_top(parts: tuple[str, ...]) -> PurePosixPath | None:
    """Members of `ESC-50-master/` without that folder."""
    return PurePosixPath(*parts[1:]) if len(parts) > 1 else None
