"""`melgpt import` reads every kind of the originals' files, and what it writes gives their numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import melgpt
from melgpt import checkpoint
from melgpt.errors import UserError
from melgpt.gpt.order import flatten
from recipe_weights import materialise

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


def test_the_vocoder_of_a_clone_is_found_by_itself(
    golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from melgpt.compat.vocoder import HOME, open_vocoder
    from melgpt.types import MelScale

    monkeypatch.chdir(tmp_path)
    assert open_vocoder(None, MelScale()).config.kind == "griffin_lim"
    weights = _content(golden, "melgan_generator.pt")["checkpoint"]
    HOME.mkdir(parents=True)
    torch.save(weights, HOME / "best_netG.pt")
    bands = next(t for key, t in weights.items() if key.endswith("weight_v")).shape[1]
    assert open_vocoder(None, MelScale(n_mels=bands)).config.kind == "melgan"
    with pytest.raises(UserError, match="is for"):
        open_vocoder(None, MelScale(n_mels=bands + 1))
    with pytest.raises(UserError, match="no best_netG"):
        open_vocoder(tmp_path / "other", MelScale())


def test_a_vae_after_its_codec(golden: Path, tmp_path: Path) -> None:
    content = _content(golden, "gpt_vae.pt")
    source = _write(golden, "gpt_vae.pt", tmp_path)
    codec = _content(golden, "lit_mingpt_class.pt")["checkpoint_codec_plain_state_dict"]
    torch.save(codec, tmp_path / "codec.pt")
    _imports(tmp_path / "codec.pt", tmp_path / "model")
    told = _imports(source, tmp_path / "model", "--heads", content["config"]["n_head"])
    assert "decoder.loss.weight" in told or "attn.mask" in told
    vae = checkpoint.load(tmp_path / "model/vae.safetensors", "vae")
    with torch.inference_mode():
        mean, log_variance = vae.encode(content["outputs"]["tokens"])
    assert torch.allclose(mean, content["outputs"]["mu"], **CLOSE)
    assert torch.allclose(log_variance, content["outputs"]["logvar"], **CLOSE)


@pytest.mark.parametrize("name", ["specvqgan_net2net_class.pt", "specvqgan_net2net_feats.pt"])
def test_net2net_gives_codec_and_prior(golden: Path, tmp_path: Path, name: str) -> None:
    from melgpt.pretrained import Asked, convert
    from melgpt.types import MelScale

    content = _content(golden, name)
    source = _write(golden, name, tmp_path)
    image = next(tensor for tensor in content["inputs"].values() if tensor.ndim == 4)
    heads = _find(content["config"], "n_head")
    imported = convert(source, asked=Asked(heads=heads, scale=MelScale(n_mels=image.shape[2])))
    assert set(imported.parts) == {"codec", "prior"}
    assert {key.split(".")[0] for key in imported.dropped} == {"transformer", "first_stage_permuter"}
    with torch.inference_mode():
        codes = imported["codec"].encode(image).codes
    assert torch.equal(flatten(codes), content["outputs"]["tokens"])


def test_a_gpt_of_features_and_class(golden: Path, tmp_path: Path) -> None:
    from melgpt.pretrained import Asked, convert

    content = _content(golden, "specvqgan_gpt_feats_class.pt")
    source = _write(golden, "specvqgan_gpt_feats_class.pt", tmp_path)
    prior = convert(source, asked=Asked(heads=_find(content["config"], "n_head")))["prior"]
    assert prior.config.conditioning.kind == "frames_class"


def test_a_codec_with_its_perceptual_loss_and_discriminator(golden: Path, tmp_path: Path) -> None:
    """The form of SpecVQGAN's published codecs: both lie inside."""
    state = dict(_content(golden, "specvqgan_vqmodel.pt")["checkpoint"]["state_dict"])
    content = _content(golden, "specvqgan_perceptual_loss.pt")
    weights = materialise(golden, content["checkpoint"]["perceptual_by_recipe"])
    outputs = content["outputs"]
    weights |= {"scaling_layer.shift": outputs["shift"], "scaling_layer.scale": outputs["scale"]}
    judge = content["checkpoint"]["discriminator_state_dict"]
    state |= {
        f"loss.perceptual_loss.{key.split('loss.')[-1]}": t
        for key, t in weights.items()
        if "discriminator" not in key
    }
    state |= judge
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    _imports(tmp_path / "last.ckpt", tmp_path / "model")
    found = {path.stem for path in (tmp_path / "model").glob("*.safetensors")}
    assert found == {"codec", "vocoder", "perceptual", "discriminator"}
    with torch.inference_mode():
        network = checkpoint.load(tmp_path / "model/perceptual.safetensors", "perceptual")
        assert network(content["inputs"]["x"], content["inputs"]["x"]).abs().max() == 0


def test_melception_asks_for_its_statistics(golden: Path, tmp_path: Path) -> None:
    content = _content(golden, "melception.pt")
    state = materialise(golden, content["checkpoint"])
    torch.save({"model": state, "epoch": 3, "loss": 0.5}, tmp_path / "melception.pt")
    refused = melgpt("import", tmp_path / "melception.pt", tmp_path / "model")
    assert refused.returncode == 2
    assert "--statistics" in refused.stderr
    (tmp_path / "means.txt").write_text("0.0 1.0\n" * 80)
    told = _imports(tmp_path / "melception.pt", tmp_path / "model", "--statistics", tmp_path / "means.txt")
    assert "AuxLogits" in told
    assert checkpoint.describe(tmp_path / "model/classifier.safetensors").family == "classifier"


def test_discriminators_alone(golden: Path, tmp_path: Path) -> None:
    content = _content(golden, "specvqgan_discriminators.pt")
    states = [value for value in _states(content["checkpoint"]) if "main.0.weight" in value]
    assert states
    for number, state in enumerate(states):
        torch.save(state, tmp_path / f"{number}.pt")
        _imports(tmp_path / f"{number}.pt", tmp_path / f"model{number}")
        part = checkpoint.load(tmp_path / f"model{number}/discriminator.safetensors", "discriminator")
        assert torch.equal(part.layers[0].weight, state["main.0.weight"])


def _states(content: Any) -> Any:
    """Every state dict in a nest of dicts."""
    if isinstance(content, dict):
        if any(isinstance(value, torch.Tensor) for value in content.values()):
            yield content
        for value in content.values():
            yield from _states(value)


def _find(config: Any, name: str) -> Any:
    """A setting, however deep it lies."""
    if name in config:
        return config[name]
    found = (_find(value, name) for value in config.values() if isinstance(value, dict))
    return next((value for value in found if value is not None), None)


@pytest.mark.parametrize(
    "name", ["litvqvae_eval.pt", "specvqgan_net2net_class.pt", "gpt_vae.pt", "lit_mingpt_class.pt"]
)
def test_files_that_lack_or_bend_a_weight_are_told(golden: Path, name: str) -> None:
    from melgpt.pretrained import Asked, convert_state

    state = _content(golden, name)["checkpoint"]["state_dict"]
    # What the originals only store, and we only check, may be left out.
    needed = [key for key in state if not key.endswith(("attn.mask", "loss.weight"))]
    for key in needed[:: max(1, len(needed) // 12)]:
        for broken in ({k: t for k, t in state.items() if k != key}, {**state, key: torch.zeros(3)}):
            with pytest.raises(UserError):
                convert_state(broken, asked=Asked(heads=4))


def test_a_refused_import_leaves_the_folder_as_it_was(golden: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    content = _content(golden, "lit_mingpt_class.pt")
    torch.save(content["checkpoint_codec_plain_state_dict"], tmp_path / "codec.pt")
    _imports(tmp_path / "codec.pt", model)
    heads = ("--heads", content["config"]["gpt"]["n_head"])
    _imports(_write(golden, "lit_mingpt_class.pt", tmp_path), model, *heads)
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    other = tmp_path / "other"
    other.mkdir()
    for name, options, words in (
        ("litvqvae_eval.pt", (), "a prior of another codec"),
        ("specvqgan_net2net_class.pt", ("--heads", 4), "not trained together"),
        ("melgan_generator.pt", ("--mel", "hifigan"), "different mel scales"),
        ("lit_mingpt_class.pt", (*heads, "--labels", "a,a,b,c,d"), "a name of its own"),
        ("lit_mingpt_class.pt", ("--heads", 0), "from 1 on"),
        ("lit_mingpt_class.pt", ("--rows", 0), "from 1 on"),
    ):
        refused = melgpt("import", _write(golden, name, other), model, *options)
        assert refused.returncode == 2, (name, refused.stderr)
        assert words in refused.stderr
        assert {path.name: path.read_bytes() for path in model.iterdir()} == before


def test_weights_that_are_no_numbers_are_refused(golden: Path) -> None:
    from melgpt.pretrained import convert_state

    state = dict(_content(golden, "litvqvae_eval.pt")["checkpoint"]["state_dict"])
    state["_vq_vae._embedding.weight"] = torch.full_like(state["_vq_vae._embedding.weight"], torch.nan)
    with pytest.raises(UserError, match="not finite"):
        convert_state(state)


def test_a_transformer_given_as_a_codec_is_named(golden: Path, tmp_path: Path) -> None:
    from melgpt.pretrained import convert

    source = _write(golden, "lit_mingpt_class.pt", tmp_path)
    with pytest.raises(UserError, match="not a whole codec|not a codec"):
        convert(source, "codec")
