"""Every listener of the registry: shapes, features, learning, its file; and who may judge what."""

from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import MICRO
from melgpt import checkpoint, registry
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.evaluation.hearing import fit_frames, hear
from melgpt.evaluation.listeners import Listeners, files_in
from melgpt.training.fit_listeners import ListenerTraining
from melgpt.training.recipe import Recipe
from melgpt.training.stage import Stage
from melgpt.types import MelScale

KINDS = [kind for kind in registry.KINDS["classifier"] if kind.startswith("listener")]
LABELS = ("a", "b", "c")


def build(kind: str, labels: tuple[str, ...] = LABELS, bands: int = 80) -> torch.nn.Module:
    torch.manual_seed(0)
    config = {"kind": kind, "labels": labels, "frames": 64, "width": 16, "mel": {"n_mels": bands}}
    return registry.build("classifier", registry.configure("classifier", config)).eval()


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_features_and_logits_are_rows(kind: str) -> None:
    listener, mel = build(kind), torch.rand(3, 80, 64)
    features = listener.features(mel)
    assert features["embedding"].shape == (3, 16)
    assert torch.allclose(features["logits"], listener(mel), atol=1e-6)
    assert features[listener.compared].shape == (3, 16)
    assert listener.features(mel, ["logits"]).keys() == {"logits"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bands", [40, 80, 128])
def test_it_learns_on_any_number_of_bands_and_frames(kind: str, bands: int) -> None:
    listener = build(kind, bands=bands).train()
    logits = listener(torch.rand(2, bands, 83))
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in listener.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_back_from_its_file(kind: str, tmp_path: Path) -> None:
    listener, mel = build(kind), torch.rand(2, 80, 64)
    checkpoint.save(listener, tmp_path / "listener.safetensors")
    loaded = checkpoint.load(tmp_path / "listener.safetensors", "classifier")
    with torch.inference_mode():
        assert torch.equal(loaded(mel), listener(mel))


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_cannot_hear_is_refused(kind: str) -> None:
    with pytest.raises(UserError, match="has no feature 'embeding'; did you mean 'embedding'"):
        build(kind).features(torch.rand(1, 80, 64), ["embeding"])
    with pytest.raises(UserError, match=r"hears mels \[clips, 80 bands, frames\], not \[1, 40, 64\]"):
        build(kind)(torch.rand(1, 40, 64))


def test_clips_are_followed_by_silence_or_cut() -> None:
    mel = torch.rand(2, 80, 10)
    assert torch.equal(fit_frames(mel, 12)[..., :10], mel)
    assert not fit_frames(mel, 12)[..., 10:].any()
    assert torch.equal(fit_frames(mel, 4), mel[..., :4])


def test_many_clips_are_heard_as_one_by_one() -> None:
    listener, mels = build("listener_cnn"), torch.rand(40, 80, 64)
    many, last = hear(listener, mels), hear(listener, mels[39:])
    assert many.features.shape == (40, 16)
    assert np.allclose(many.logits[39:], last.logits, atol=1e-5)


def test_listeners_are_counted_and_moved_aside_with_one_line(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = []

    def not_trained(stage: Stage, *_: object, **__: object) -> None:
        titles.append(stage.title)
        (stage.folder / "last.ckpt").write_bytes(b"a run that is worth keeping")

    monkeypatch.setattr(Stage, "train", not_trained)
    monkeypatch.setattr(Stage, "load", lambda *_: None)
    store, recipe = Store.open(trained / "data"), Recipe.read(str(MICRO))
    for batch in (8, 9):
        settings = recipe.train.classifier.changed(batch=batch, seeds=2)
        files = ListenerTraining(tmp_path, settings, recipe.runtime).train_all(store)
    assert titles == [f"listener {number} of 4" for number in (1, 2, 3, 4)] * 2
    assert len({file.name for file in files}) == 4
    assert len(list((tmp_path / "training").glob("*.before"))) == 4
    assert capsys.readouterr().err.count("training.batch (8 → 9) changed, so it is trained again") == 1


@pytest.fixture
def saved(trained: Path, tmp_path: Path) -> tuple[Store, Path, str]:
    """A data set, a listener of it, the listener's fingerprint."""
    store = Store.open(trained / "data")
    file = tmp_path / "listener_cnn_0.safetensors"
    mark = checkpoint.save(
        build("listener_cnn", store.labels), file, parents={"data": store.fingerprint}, notes={"seed": 3}
    )
    return store, file, mark


def test_a_listener_that_trained_the_model_must_not_judge_it(saved: tuple[Store, Path, str]) -> None:
    store, file, mark = saved
    listeners = Listeners.open([file], store)
    listeners.check_apart({"codec": {"data": store.fingerprint, "perceptual": "0" * 16}})
    with pytest.raises(UserError, match=f"codec was trained with listener_cnn_0 \\(perceptual {mark}\\)"):
        listeners.check_apart({"codec": {"perceptual": mark}})


def test_listeners_of_other_data_classes_or_scales_are_refused(
    saved: tuple[Store, Path, str], tmp_path: Path
) -> None:
    store, file, _ = saved
    other = tmp_path / "other.safetensors"
    checkpoint.save(build("listener_cnn", store.labels), other, parents={"data": "of another set"})
    with pytest.raises(UserError, match="may have heard the clips that are to be judged"):
        Listeners.open([other], store)
    checkpoint.save(build("listener_cnn"), other, parents={"data": store.fingerprint})
    with pytest.raises(UserError, match="other classes or another mel scale"):
        Listeners.open([other], store)
    with pytest.raises(UserError, match="there are no listeners"):
        Listeners.open([], store)
    with pytest.raises(UserError, match="holds no listeners"):
        files_in(tmp_path / "nothing")
    assert files_in(tmp_path) == [file, other]


def test_another_classifier_may_give_the_features(saved: tuple[Store, Path, str], tmp_path: Path) -> None:
    store, file, _ = saved
    other = tmp_path / "other.safetensors"
    checkpoint.save(build("listener_transformer"), other)
    listeners = Listeners.open([file], store, other)
    assert listeners.extractor.part.config.labels == LABELS
    assert listeners.hear(torch.rand(2, 80, 64)).logits.shape == (2, 3)
    checkpoint.save(build("listener_transformer", bands=40), other)
    assert store.scale != MelScale(n_mels=40)
    with pytest.raises(UserError, match="reads the mel scale"):
        Listeners.open([file], store, other)


def test_an_examination_counts_what_is_right(saved: tuple[Store, Path, str]) -> None:
    store, file, mark = saved
    listeners = Listeners.open([file], store)
    mels = torch.rand(12, 80, 64)
    heard = listeners.hear(mels).logits.argmax(1)
    labels = np.where(np.arange(12) < 9, heard, (heard + 1) % len(store.labels))
    (told,) = listeners.examined(mels, labels, resamples=50)
    assert told["test_accuracy"]["value"] == 0.75
    assert told["test_accuracy"]["low"] < 0.75 < told["test_accuracy"]["high"]
    assert (told["seed"], told["fingerprint"], told["test_clips"]) == (3, mark, 12)
    assert listeners.right(mels, labels).tolist() == [1.0] * 9 + [0.0] * 3


MINE = """
import torch
from torch import nn
from melgpt.config import KindConfig
from melgpt.types import MelScale

class MineConfig(KindConfig):
    kind: str = "mine:Mine"
    mel: MelScale = MelScale()
    labels: tuple[str, ...] = ()
    frames: int = 64

class Mine(nn.Module):
    Config, family, compared = MineConfig, "classifier", "logits"

    def __init__(self, config):
        super().__init__()
        self.config, self.scale = config, config.mel
        self.head = nn.Linear(config.mel.n_mels, len(config.labels))

    def forward(self, mel):
        return self.head(mel.mean(-1))

    def features(self, mel, names=("logits",)):
        return {"logits": self(mel)}
"""


def test_one_from_outside_is_trained_as_the_docs_say(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    store, recipe = Store.open(trained / "data"), Recipe.read(str(MICRO))
    wanted = recipe.train.classifier.changed(kinds="mine:Mine", seeds=1)
    (file,) = ListenerTraining(tmp_path / "a", wanted, recipe.runtime).train_all(store)
    assert checkpoint.load(file, "classifier").config.labels == store.labels
    with pytest.raises(UserError, match="classifier kind 'melception' cannot be used here"):
        wanted.changed(kinds="listener_cnn,melception")
