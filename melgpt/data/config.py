"""How a folder of sounds becomes a data set."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from melgpt.config import Config

_FIRST = frozenset(
    ("clip_seconds", "min_seconds", "valid_fraction", "silence_db", "trim_silence", "clipped_fraction")
    + ("near_duplicate", "originals_length", "only", "valid_fold", "test_fold", "shard_frames")
)
"""The options that data sets have always been known by."""
REST_SECONDS = 0.2
"""A shorter rest of a cut file is the end of something, not a sound of its own."""


class DataConfig(Config):
    """Options of `prepare`."""

    clip_seconds: float = Field(10.0, gt=0)
    """Longer files are cut into clips of this length, in seconds; shorter ones keep their own."""
    min_seconds: float = Field(0.01, gt=0)
    """Files shorter than this are left out; 0.01 s is about one mel frame. The rest of a cut file is left out
    below 0.2 s, too."""
    valid_fraction: float = Field(0.1, ge=0, lt=1)
    """Share of the sources that validation gets."""
    silence_db: float = Field(-60.0, lt=0)
    """A clip whose peak is below this, in dB of full scale, counts as silent and is left out."""
    trim_silence: bool = True
    """Take away what is silent before and after the sound of a file."""
    clipped_fraction: float = Field(0.01, gt=0, le=1)
    """A clip with more than this share of its samples in flat tops at full scale is listed as clipped."""
    near_duplicate: float = Field(0.85, gt=0, le=1)
    """Correlation of two clips' mels, at the best shift in time, from which they are near duplicates."""
    folder_split: bool = True
    """Folders called train, valid and test (or val, dev, eval, …) that hold class folders are a split."""
    originals_length: bool | Literal["auto"] = "auto"
    """Make each sound one clip of `clip_seconds`, as the originals did: cut, or repeated where it is shorter.
    `auto`: for the videos of a corpus in the layout of VAS."""
    only: tuple[str, ...] = ()
    """Classes to take, such as `dog,drum`; all where none is named. `esc10`: the ten of ESC-10."""
    valid_fold: int = Field(5, ge=1, le=5)
    """ESC-50: the fold that validation gets."""
    test_fold: int = Field(0, ge=0, le=5)
    """ESC-50: the fold that is kept for testing; 0: none."""
    shard_frames: int = Field(1 << 19, gt=0)
    """Mel frames in one file of the data set, at most (a longer clip gets a file of its own)."""

    @property
    def least_rest(self) -> float:
        """Shortest rest of a cut file that becomes a clip, in seconds."""
        return max(self.min_seconds, min(REST_SECONDS, self.clip_seconds))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min_seconds > self.clip_seconds:
            raise ValueError(
                f"min_seconds ({self.min_seconds}) must not exceed clip_seconds ({self.clip_seconds})"
            )
        if self.valid_fold == self.test_fold:
            raise ValueError(f"valid_fold and test_fold must differ, both are {self.test_fold}")
        return self

    def identity(self) -> dict[str, Any]:
        """The options by which a data set is known.

        One that came later counts only where it is not at its default, so that no set is made anew for it.
        """
        return {
            name: value
            for name, value in self.plain().items()
            if name in _FIRST or getattr(self, name) != type(self).model_fields[name].default
        }
