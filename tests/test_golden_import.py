"""`melgpt import` reads every kind of the originals' files, and what it writes gives their numbers."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import melgpt
from melgpt import checkpoint
from melgpt.gpt.order import flatten

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


def _content(golden: Path, name: str) -> dict[str, Any]:
    return torch.load(golden / name, weights_only=True)


def _write(golden: Path, name: str, folder: Path, *, plain: bool = False, key: str = "checkpoint") -> Path:
    """The original's own file, taken out of the golden file."""
    stored = _content(golden, name)[key]
    path = folder / "original.ckpt"
    torch.save(stored["state_dict"] if plain else stored, path)
    return path


def _imports(source: Path, out: Path, *options: object) -> str:
    done = melgpt("import", source, out, *options)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("plain", [False, True])
def test_a_codec_of_karchkha(golden: Path, tmp_path: Path, plain: bool) -> None:
    told = _imports(_write(golden, "litvqvae_eval.pt", tmp_path, plain=plain), tmp_path / "model")
    content = _content(golden, "litvqvae_eval.pt")
    codec = checkpoint.load(tmp_path / "model/codec.safetensors", "codec")
    with torch.inference_mode():
        result = codec.encode(content["inputs"]["x"])
        assert torch.equal(result.codes, content["outputs"]["indices_grid"])
        assert torch.allclose(codec.decode(result.z), content["outputs"]["reconstruction"], **CLOSE)
    assert "codec" in told
    assert (tmp_path / "model/vocoder.safetensors").is_file(), "Griffin-Lim, so that it can be heard"


def test_a_real_lightning_checkpoint(golden: Path, tmp_path: Path) -> None:
    content = _content(golden, "litvqvae_lightning_checkpoint.pt")
    bands = content["inputs"]["image"].shape[1]
    torch.save(content["checkpoint"], tmp_path / "last.ckpt")
    from melgpt.pretrained import Asked, convert
    from melgpt.types import MelScale

    codec = convert(tmp_path / "last.ckpt", asked=Asked(scale=MelScale(n_mels=bands)))["codec"]
    with torch.inference_mode():
        codes = codec.encode(content["inputs"]["image"][:, None]).codes
    assert torch.equal(codes.flatten(), content["outputs"]["final_indices"].flatten())


def test_a_codec_of_specvqgan(golden: Path, tmp_path: Path) -> None:
    _imports(_write(golden, "specvqgan_vqmodel.pt", tmp_path), tmp_path / "model")
    content = _content(golden, "specvqgan_vqmodel.pt")
    codec = checkpoint.load(tmp_path / "model/codec.safetensors", "codec")
    with torch.inference_mode():
        codes = codec.encode(content["inputs"]["x"]).codes
    assert torch.equal(codes, content["outputs"]["indices_grid"].reshape(codes.shape))


def test_a_class_gpt_after_its_codec(golden: Path, tmp_path: Path) -> None:
    content = _content(golden, "lit_mingpt_class.pt")
    gpt = _write(golden, "lit_mingpt_class.pt", tmp_path)
    refused = melgpt("import", gpt, tmp_path / "model", "--heads", content["config"]["gpt"]["n_head"])
    assert refused.returncode == 2
    assert "import the codec" in refused.stderr
    torch.save(content["checkpoint_codec_plain_state_dict"], tmp_path / "codec.pt")
    _imports(tmp_path / "codec.pt", tmp_path / "model")
    asked = melgpt("import", gpt, tmp_path / "model")
    assert asked.returncode == 2
    assert "--heads" in asked.stderr
    told = _imports(
        gpt, tmp_path / "model", "--heads", content["config"]["gpt"]["n_head"], "--labels", "a,b,c,d,e"
    )
    assert "attn.mask" in told, "dropped keys are listed with the reason"
    prior = checkpoint.load(tmp_path / "model/prior.safetensors", "prior")
    assert prior.config.labels == ("a", "b", "c", "d", "e")
    with torch.inference_mode():
        tokens = flatten(content["inputs"]["codes_grid"])
        logits = prior(tokens[:, :-1], content["inputs"]["target"])
    assert torch.allclose(logits, content["outputs"]["logits"], **CLOSE)
    made = melgpt("generate", tmp_path / "model", "--label", "b", "--seed", 1, "--out", tmp_path / "new")
    assert made.returncode == 0, made.stderr


def test_melgan_and_its_settings(golden: Path, tmp_path: Path) -> None:
    content = _content(golden, "melgan_generator.pt")
    config = content["config"]
    folder = tmp_path / "vggsound"
    folder.mkdir()
    torch.save(content["checkpoint"], folder / "best_netG.pt")
    weights = content["checkpoint"]
    first = next(t for key, t in weights.items() if key.endswith("weight_v"))
    settings = {"n_mel_channels": first.shape[1], "ngf": config.get("ngf", 6), "n_residual_layers": 3}
    lines = "".join(f"{name}: {number}\n" for name, number in settings.items())
    (folder / "args.yml").write_text("!!python/object:argparse.Namespace\n" + lines)
    _imports(folder, tmp_path / "model")
    assert checkpoint.describe(tmp_path / "model/vocoder.safetensors").family == "vocoder"
    (folder / "args.yml").write_text(lines.replace("ngf: ", "ngf: 9"))
    refused = melgpt("import", folder, tmp_path / "model")
    assert refused.returncode == 2
    assert "do not belong together" in refused.stderr


def _recipe(golden: Path) -> Any:
    spec = importlib.util.spec_from_file_location("recipe", golden / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
