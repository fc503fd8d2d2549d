"""The figures are what they say, on cases that can be worked out by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import MICRO
from melgpt.codec.codec import Codec
from melgpt.data.store import Store
from melgpt.evaluation.card import table
from melgpt.evaluation.measures import codec_measures, prior_measures, row_counts
from melgpt.gpt.prior import Prior, PriorConfig
from melgpt.nn.transformer import BlockConfig
from melgpt.training.recipe import Recipe


class Codes:
    """A code store of given sequences."""

    def __init__(self, sequences: list[tuple[list[int], int]]) -> None:
        self.sequences = sequences

    def __len__(self) -> int:
        return len(self.sequences)

    def sequence(self, number: int, end: int) -> tuple[torch.Tensor, int]:
        tokens, label = self.sequences[number]
        return torch.tensor(tokens), label


@pytest.fixture
def prior() -> Prior:
    blocks = BlockConfig(layers=1, width=16, heads=2)
    config = PriorConfig(blocks=blocks, labels=("a", "b"), codebook=4, rows=2, columns=4)
    return Prior(config).eval()


def test_an_untrained_head_costs_the_uniform_bits(prior: Prior) -> None:
    torch.nn.init.zeros_(prior.gpt.head.weight)
    codes = Codes([([0, 1, 2, 3], 0), ([3, 2], 1)])
    figures = prior_measures(prior, codes, codes)
    assert figures["bits_per_token"] == pytest.approx(math.log2(5), abs=1e-5)
    assert figures["wrong_class_bits"] == pytest.approx(math.log2(5), abs=1e-5)
    assert figures["uniform_bits"] == 2


def test_the_table_knows_class_and_row(prior: Prior) -> None:
    # Class a always has 0 over 1, class b 2 over 3: given class and row nothing is left to say.
    train = Codes([([0, 1] * 4, 0), ([2, 3] * 4, 1)] * 2000)
    valid = Codes([([0, 1] * 4, 0), ([2, 3] * 4, 1)])
    figures = prior_measures(prior, train, valid)
    assert figures["class_row_table_bits"] < 0.001
    assert figures["row_table_bits"] == pytest.approx(1.0, abs=0.01)
    assert row_counts(prior, train)[0].tolist() == [8000, 0, 8000, 0, 0]


def test_a_prior_started_at_the_frequencies_equals_the_row_table(prior: Prior) -> None:
    torch.nn.init.zeros_(prior.gpt.head.weight)
    train = Codes([([0, 1] * 4, 0), ([2, 1] * 4, 1)] * 500)
    prior.gpt.start_at_frequencies(row_counts(prior, train))
    figures = prior_measures(prior, train, Codes([([0, 1, 2, 1], 0)]))
    assert figures["bits_per_token"] == pytest.approx(figures["row_table_bits"], abs=1e-3)


def test_codec_figures_stand_beside_the_mean_mel(trained: Path) -> None:
    store = Store.open(trained / "data")
    codec = Codec(Recipe.read(str(MICRO)).codec).eval()
    figures = codec_measures(codec, store)
    rows = store.rows("train")
    mean = np.concatenate([store.mel(int(r)) for r in rows]).astype(np.float64).mean(0)
    valid = np.concatenate([store.mel(int(r)) for r in store.rows("valid")]).astype(np.float64)
    assert figures["mean_mel_l1"] == pytest.approx(np.abs(valid - mean).mean(), rel=1e-4)
    assert 1 <= figures["codes_used"] <= figures["codes"] == codec.codebook_size
    assert figures["bits_per_second"] == pytest.approx(figures["tokens_per_second"] * math.log2(16))


def test_the_table_of_figures_names_what_it_shows() -> None:
    text = table({"seconds": {"prepare": 3.4}, "peak_memory_gib": 0.5})
    assert "| seconds: prepare | 3 | |" in text.replace("  ", " ")
    assert "| peak memory in GiB | 0.50 |" in text


def test_the_table_of_figures_says_what_is_good_usual_and_bad() -> None:
    codec = {"mel_l1": 0.05, "mean_mel_l1": 0.2, "codes_used": 409, "codes": 1000, "perplexity": 229.0}
    prior = {"bits_per_token": 3.6, "class_row_table_bits": 7.0, "row_table_bits": 7.5, "wrong_class_bits": 4}
    text = table({"codec": {**codec, "bits_per_second": 300}, "prior": prior})
    assert "| 0.0500 | good up to 0.060, usual up to 0.100, bad from 0.140 on |" in text
    assert "| 229 | good from 200 on, usual from 100 on, bad below |" in text
    assert "| 3.600 | good up to 4.2, usual up to 6.3, bad from 6.8 on |" in text
    assert {line.count("|") for line in text.splitlines()} == {4}
