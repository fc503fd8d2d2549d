"""A loss that is no number stops the run and says where."""

from pathlib import Path

import pytest
import torch

from conftest import MICRO
from melgpt.codec.decoder import Decoder
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.training.fit import Run
from melgpt.training.recipe import Recipe

BROKEN_STEP = 6


def test_a_nan_names_the_step_and_the_last_good_checkpoint(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    finish = Decoder.finish

    def broken(self: Decoder, h: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += self.training
        return finish(self, h) * (torch.nan if self.training and calls > BROKEN_STEP else 1)

    monkeypatch.setattr(Decoder, "finish", broken)
    run = Run(tmp_path, Recipe.read(str(MICRO)))
    with pytest.raises(UserError) as caught:
        run.train_codec(Store.open(trained / "data"))
    message = str(caught.value)
    last = tmp_path / "training/codec/last.ckpt"
    assert f"step {BROKEN_STEP}" in message
    assert str(last) in message
    assert "learning_rate" in message
    saved = torch.load(last, weights_only=True)
    assert all(torch.isfinite(t).all() for t in saved["state_dict"].values() if t.is_floating_point())
    assert not (tmp_path / "codec.safetensors").exists()
