"""Model files: they come back equal, and everything wrong with them is one clear line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from melgpt import checkpoint
from melgpt.codec.codec import Codec, CodecConfig
from melgpt.errors import UserError
from melgpt.gpt.prior import Prior, PriorConfig
from melgpt.registry import build, configure
from melgpt.types import MelScale

MEL = MelScale(n_mels=8, hop=64).plain()
NETWORK = {
    "channels": 4,
    "multipliers": [1, 2],
    "residual_blocks": 1,
    "attention_levels": [1],
    "latent": 4,
    "strides": [[2, 2]],
}


def make_codec(quantizer: str) -> Codec:
    sizes = {"codes": 5, "dim": 3} if quantizer != "fsq" else {"levels": [3, 3]}
    config = {"mel": MEL, "network": NETWORK, "quantizer": {"kind": quantizer, **sizes}}
    codec = Codec(CodecConfig.parse(config))
    codec.encode(torch.randn(2, 1, 8, 8))
    return codec


def make_prior() -> Prior:
    shape = {"labels": ["dog", "Köter/ein Hund"], "codebook": 5, "rows": 4, "columns": 3}
    blocks = {"layers": 1, "width": 8, "heads": 2}
    return Prior(PriorConfig.parse({"blocks": blocks, **shape}))


def make_vocoder() -> nn.Module:
    return build(
        "vocoder",
        configure(
            "vocoder", {"kind": "melgan", "mel": MEL, "ngf": 2, "ratios": [8, 8], "residual_blocks": 1}
        ),
    )


def run(part: nn.Module) -> torch.Tensor:
    """What a part makes of a fixed input."""
    mel = torch.rand(2, 8, 6, generator=torch.Generator().manual_seed(5))
    if part.family == "codec":
        return part.detokenize(part.tokenize(mel))
    if part.family == "prior":
        return part(torch.zeros(2, 3, dtype=torch.int64), torch.tensor([0, 1]))
    return part(mel)


PARTS: dict[str, Callable[[], nn.Module]] = {
    **{f"codec with {q}": lambda q=q: make_codec(q) for q in ("vq", "ema", "fsq")},
    "prior": make_prior,
    "melgan": make_vocoder,
    "griffin_lim": lambda: build("vocoder", configure("vocoder", {"kind": "griffin_lim", "mel": MEL})),
}


@pytest.fixture(params=PARTS)
def part(request: pytest.FixtureRequest) -> nn.Module:
    return PARTS[request.param]().eval()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A saved prior."""
    path = tmp_path / "prior.safetensors"
    checkpoint.save(make_prior(), path)
    return path


def rewrite(path: Path, **changes: object) -> None:
    """Change what a file says of itself."""
    with safe_open(path, framework="pt") as opened:
        description = json.loads(opened.metadata()["melgpt"])
    save_file(load_file(path), path, metadata={"melgpt": json.dumps({**description, **changes})})


def refused(path: Path, family: str | None = "prior") -> str:
    """The one line with which a file is refused."""
    with pytest.raises(UserError) as error:
        checkpoint.load(path, family)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_part_comes_back_equal(part: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "part.safetensors"
    mark = checkpoint.save(part, path, parents={"codec": "abc"}, notes={"l1": 0.1, "of": "Hund 🐕"})
    loaded = checkpoint.load(path, part.family)
    assert type(loaded) is type(part)
    assert loaded.config == part.config
    assert not loaded.training
    assert torch.equal(run(loaded), run(part))
    assert checkpoint.fingerprint(loaded) == mark == checkpoint.fingerprint(part)
    description = checkpoint.describe(path)
    assert (description.family, description.fingerprint) == (part.family, mark)
    assert description.parents == {"codec": "abc"}
    assert description.notes == {"l1": 0.1, "of": "Hund 🐕"}


def test_saving_twice_writes_the_same_bytes(part: nn.Module, tmp_path: Path) -> None:
    for name in ("a", "b"):
        checkpoint.save(part, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_any_weight_or_option_changes_the_fingerprint() -> None:
    prior = make_prior()
    mark = checkpoint.fingerprint(prior)
    with torch.no_grad():
        prior.gpt.head.weight[0, 0] += 1e-3
    changed = checkpoint.fingerprint(prior)
    prior.config = prior.config.changed(labels=("dog", "cat"))
    assert len({mark, changed, checkpoint.fingerprint(prior)}) == 3
    assert len(mark) == 16


def test_an_interrupted_save_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def fail(self: Path, content: bytes) -> int:
        with open(self, "wb") as half:
            half.write(content[:11])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save(make_prior(), file)
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "is missing" in refused(tmp_path / "prior.safetensors")


def test_another_family_is_refused(file: Path) -> None:
    assert "holds a prior, a codec was expected" in refused(file, "codec")
    assert checkpoint.load(file).family == "prior"


@pytest.mark.parametrize("length", [0, 5, 200, -1])
def test_a_truncated_file_is_refused(file: Path, length: int) -> None:
    file.write_bytes(file.read_bytes()[:length])
    assert "is damaged or not a safetensors file" in refused(file)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prior.safetensors"
    save_file({"x": torch.zeros(2)}, path, metadata={"made": "elsewhere"})
    assert "was not written by melgpt" in refused(path)
    torch.save({"x": 1}, path)
    assert "not a safetensors file" in refused(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "has format 2, this version reads format 1"),
        ({"family": "kazoo"}, "holds a kazoo"),
        ({"extra": 1}, "damaged description"),
        ({"parents": "none"}, "damaged description of its kind and config: parents must be of type dict"),
        ({"notes": None}, "damaged description of its kind and config: notes must be of type dict"),
        ({"config": {"kind": "gpt", "rwos": 4}}, "unknown option 'rwos'; did you mean 'rows'"),
        ({"config": {"kind": "gpt", "rows": -4}}, "option rows: Input should be greater than or equal to 1"),
        ({"config": {"kind": "gtp"}}, "unknown prior kind 'gtp'; did you mean 'gpt'"),
        ({"config": {}}, "a prior needs kind"),
    ],
)
def test_a_description_that_cannot_be_read_is_refused(
    file: Path, changes: dict[str, object], words: str
) -> None:
    rewrite(file, **changes)
    assert words in refused(file, None)


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"format": 1}', "{}"])
def test_a_damaged_description_is_refused(file: Path, text: str) -> None:
    save_file(load_file(file), file, metadata={"melgpt": text})
    assert "damaged description" in refused(file)


def test_weights_that_do_not_fit_the_description_are_refused(file: Path) -> None:
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    head = tensors.pop("gpt.head.weight")
    save_file(tensors, file, metadata=metadata)
    assert "does not fit its own description" in refused(file)
    save_file({**tensors, "gpt.head.weight": head[1:].clone()}, file, metadata=metadata)
    assert "size mismatch for gpt.head.weight" in refused(file)
    save_file({**tensors, "gpt.head.weight": head, "extra": head.clone()}, file, metadata=metadata)
    assert "extra" in refused(file)
