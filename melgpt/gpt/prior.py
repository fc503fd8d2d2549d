"""The prior: a GPT over the codec's grid, with condition, labels and geometry; writes grids for a class."""

import unicodedata

from pydantic import Field
from torch import Tensor, nn

from melgpt import registry
from melgpt.config import KindConfig
from melgpt.errors import UserError, closest
from melgpt.gpt.model import GPT
from melgpt.nn.transformer import BlockConfig

GUIDANCE = 4.0
"""For a prior that has learnt what sounds are like whatever their class (docs/LOG.md)."""


class PriorConfig(KindConfig):
    """A prior. The last four options are taken from the data and the codec when it is trained."""

    kind: str = "gpt"
    """Registered name of the prior."""
    blocks: BlockConfig = BlockConfig()
    """The transformer."""
    conditioning: registry.AnyConditioning = registry.configure("conditioning", "class_label")
    """What steers it."""
    row_aware: bool = True
    """Tell the transformer each token's row, with an output bias for each row; the originals do not."""
    ends: bool = True
    """A sound may end before the last column; the originals have no such token."""
    labels: tuple[str, ...] = ()
    """Class names in the order of their indices (from the data)."""
    codebook: int = Field(1, ge=1)
    """Size K of the codec's codebook (from the codec)."""
    rows: int = Field(1, ge=1)
    """Rows H of the code grid (from the codec)."""
    columns: int = Field(1, ge=1)
    """Most columns W of the code grid (from the data's longest clip)."""


class Prior(nn.Module):
    """Vocabulary: codes 0 … K - 1, then (`ends`) K, the end of the sound, only at the top of a column."""

    Config = PriorConfig
    family = "prior"

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioning = registry.build(
            "conditioning", config.conditioning, labels=len(config.labels), width=config.blocks.width
        )
        self.gpt = GPT(
            config.blocks,
            vocabulary=config.codebook + config.ends,
            context=self.conditioning.length + self.length,
            rows=config.rows if config.row_aware else 0,
        )

    @property
    def length(self) -> int:
        """Most tokens of a sound."""
        return self.config.rows * self.config.columns

    @property
    def end(self) -> int | None:
        """The token that ends a sound; None where the vocabulary has none."""
        return self.config.codebook if self.config.ends else None

    @property
    def guidance(self) -> float:
        """What suits it where none is asked for: 1 where its condition was never hidden in training."""
        return GUIDANCE if getattr(self.conditioning.config, "drop", 0) > 0 else 1.0

    @property
    def takes_features(self) -> bool:
        """Whether a video steers it; a conditioning that does not say so is steered by the class alone."""
        return bool(getattr(self.conditioning, "takes_features", False))

    def to_bf16(self) -> None:
        """As the GPT; what makes the prefix stays."""
        self.gpt.to_bf16()

    def write_quickly(self, *, rounded: bool, kernels: bool) -> None:
        """As the GPT."""
        self.gpt.write_quickly(rounded=rounded, kernels=kernels)

    def forward(self, tokens: Tensor, label: Tensor, features: Tensor | None = None) -> Tensor:
        """tokens [B, S], label [B] → logits [B, S + 1, vocabulary] of tokens 0 … S.

        features [B, T, D]: of a video, for a prior that takes them; without them it hides the video.
        """
        return self.gpt(tokens, self.prefix(label, features))

    def prefix(self, label: Tensor, features: Tensor | None = None) -> Tensor:
        """What steers the GPT: label [B], features [B, T, D] or None → [B, P, C]."""
        if self.takes_features:
            return self.conditioning(label, features)
        if features is not None:
            raise ValueError("this prior is steered by the class alone, features were given")
        return self.conditioning(label)

    def labels_in(self, text: str) -> list[str]:
        """Whole names of the classes that a text names, separated by commas: the longest that are known.

        So a class whose name has commas is found, too. Raises UserError as `label_index` does.
        """
        parts, found = text.split(","), list[str]()
        while parts:
            known = (size for size in range(len(parts), 0, -1) if self._knows(",".join(parts[:size]).strip()))
            size = next(known, 0) or 1
            found.append(self.config.labels[self.label_index(",".join(parts[:size]).strip())])
            parts = parts[size:]
        return found

    def _knows(self, label: str) -> bool:
        try:
            self.label_index(label)
        except UserError:
            return False
        return True

    def label_index(self, label: str) -> int:
        """Index of a class, by its name or a unique last part of it. Raises UserError, naming the nearest."""
        if not isinstance(label, str):
            raise UserError(
                f"a label is the name of a class (given: {label!r}); known: {', '.join(self.config.labels)}"
            )
        labels, label = self.config.labels, unicodedata.normalize("NFC", label)
        if label in labels:
            return labels.index(label)
        ending = [i for i, known in enumerate(labels) if known.split("/")[-1].lower() == label.lower()]
        if len(ending) == 1:
            return ending[0]
        raise UserError(f"unknown label '{label}'{closest(label, labels)}")
