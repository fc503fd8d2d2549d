"""A prior follows what it is shown: column by column, with a class or without, and along a long video."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.errors import UserError
from melgpt.gpt.long import sample_long, strides
from melgpt.gpt.prior import Prior, PriorConfig
from melgpt.gpt.sampling import Sampling, random_streams, sample
from melgpt.gpt.steering import Steering

CODES, COLUMNS, CLASSES = 4, 6, ("plain", "shifted")


def video(codes: Tensor) -> Tensor:
    """Features [L, D] that show the codes [L]."""
    return F.one_hot(codes, CODES).float()


@pytest.fixture(scope="module")
def prior() -> Prior:
    """Learnt: a column holds the code that its frame shows, in the class `shifted` the one after it."""
    torch.manual_seed(0)
    frames = {"kind": "frames_class", "frames": COLUMNS, "depth": CODES, "span": COLUMNS}
    blocks = {"layers": 2, "width": 32, "heads": 2, "dropout": 0.0}
    sizes = {"codebook": CODES, "rows": 1, "columns": COLUMNS, "labels": CLASSES, "ends": False}
    prior = Prior(PriorConfig.parse({"conditioning": frames, "blocks": blocks, **sizes}))
    optimiser = torch.optim.AdamW(prior.parameters(), lr=3e-3)
    for _ in range(300):
        shown, label = torch.randint(CODES, (64, COLUMNS)), torch.randint(2, (64,))
        tokens = (shown + label[:, None]) % CODES
        logits = prior(tokens[:, :-1], label, video(shown))
        loss = F.cross_entropy(logits.flatten(0, 1), tokens.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return prior.eval()


def greedy(prior: Prior, steering: Steering, guidance: float = 1.0) -> list[int]:
    (tokens,) = sample(
        prior.gpt,
        steering.prefix(1),
        prior.conditioning.nothing(1),
        length=COLUMNS,
        end=None,
        rows=1,
        sampling=Sampling(temperature=0, guidance=guidance),
        streams=random_streams(0, 1),
    )
    return tokens.tolist()


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize(("label", "step"), [("plain", 0), ("shifted", 1)])
def test_each_column_follows_its_frame_and_the_class(
    prior: Prior, label: str, step: int, guidance: float
) -> None:
    shown = torch.tensor([3, 1, 0, 0, 2, 3])
    steering = Steering.of(prior, label, video(shown))
    assert steering.label == label
    assert greedy(prior, steering, guidance) == ((shown + step) % CODES).tolist()


def test_without_a_class_a_column_is_one_of_both(prior: Prior) -> None:
    shown = torch.tensor([3, 1, 0, 0, 2, 3])
    steering = Steering.of(prior, None, video(shown))
    assert steering.label is None
    for code, frame in zip(greedy(prior, steering), shown.tolist(), strict=True):
        assert code in (frame, (frame + 1) % CODES)


def test_a_long_sound_follows_a_long_video(prior: Prior) -> None:
    shown = torch.randint(CODES, (4 * COLUMNS,), generator=torch.Generator().manual_seed(2))
    steering = Steering.of(prior, "plain", video(shown))
    tokens = sample_long(
        prior.gpt,
        lambda column: steering.prefix(1, column),
        prior.conditioning.nothing(1),
        plan=strides(len(shown), COLUMNS),
        rows=1,
        codes=CODES,
        sampling=Sampling(temperature=0),
        streams=random_streams(0, 1),
    )
    assert tokens[0].tolist() == shown.tolist()


def test_a_hidden_video_is_no_video(prior: Prior) -> None:
    hidden = Steering.of(prior, "plain", None).prefix(2)
    assert hidden.shape == (2, COLUMNS + 1, 32)
    assert torch.equal(hidden[:, :-1], prior.conditioning.nothing(2)[:, :-1])


def test_a_wish_that_cannot_be_met_is_refused(prior: Prior) -> None:
    for label, features, words in (
        (None, None, "give features of a video or a label"),
        ("plane", None, "did you mean 'plain'"),
        (None, torch.zeros(COLUMNS, CODES + 1), r"reads features \[frames, 4\]"),
    ):
        with pytest.raises(UserError, match=words):
            Steering.of(prior, label, features)
