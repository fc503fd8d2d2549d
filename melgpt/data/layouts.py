"""In which layout a corpus lies: a table of layouts, the first that recognises the folder reads it.

A new one is a file with `recognises` and `sources`, and a line here.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from melgpt.data import esc50, vas, vggsound
from melgpt.data.config import DataConfig
from melgpt.data.metadata import METADATA
from melgpt.data.passed_over import PassedOver
from melgpt.data.scan import Source, scan
from melgpt.errors import UserError, closest
from melgpt.types import MelScale


def _no_groups(folder: Path) -> dict[str, frozenset[str]]:
    return {}


@dataclass(frozen=True)
class Layout:
    """How the files of a corpus are found."""

    name: str
    recognises: Callable[[Path], bool]
    sources: Callable[[Path, DataConfig, MelScale, PassedOver], Iterator[Source]]
    originals_length: bool = False
    """What `data.originals_length = "auto"` means here."""
    groups: Callable[[Path], dict[str, frozenset[str]]] = _no_groups
    """Names for several classes at once, for `data.only`."""

    def resolve(self, config: DataConfig) -> DataConfig:
        """The options with nothing left open."""
        if config.originals_length != "auto":
            return config
        return config.changed(originals_length=self.originals_length)

    def find(
        self, folder: Path, config: DataConfig, scale: MelScale, passed: PassedOver | None = None
    ) -> Iterator[Source]:
        """Every file of the chosen classes, in no order that matters; what is left aside goes into `passed`.

        Raises UserError where the folder or a table in it is not in order or a chosen class is not there.
        """
        passed = PassedOver() if passed is None else passed
        sources = self.sources(folder, config, scale, passed)
        if not config.only:
            return sources
        groups = self.groups(folder)
        passed.only = frozenset().union(*(groups.get(name, {name}) for name in config.only))
        return _chosen(sources, passed.only)


FOLDER = Layout(
    "folder",
    lambda folder: True,
    lambda folder, config, scale, passed: scan(folder, passed, by_folders=config.folder_split),
)
LAYOUTS = (
    Layout("VAS", vas.recognises, vas.sources, originals_length=True),
    Layout("VGGSound", vggsound.recognises, vggsound.sources),
    Layout("ESC-50", esc50.recognises, esc50.sources, groups=esc50.groups),
)


def layout_of(folder: Path) -> Layout:
    """The layout of a corpus; a folder with a metadata.csv, or in no known one, is a folder of sounds."""
    if (folder / METADATA).is_file():
        return FOLDER
    return next((layout for layout in LAYOUTS if layout.recognises(folder)), FOLDER)


def _chosen(sources: Iterable[Source], classes: frozenset[str]) -> Iterator[Source]:
    seen = set()
    for source in sources:
        seen.add(source.label)
        if source.label in classes:
            yield source
    for name in sorted(classes - seen):
        raise UserError(f"data.only: there is no class '{name}'{closest(name, sorted(seen - {''}))}")
