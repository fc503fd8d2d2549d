"""`python train.py`: folders, scalars, resuming, evaluating, testing, as the originals' users know them."""

from pathlib import Path

import pytest
import torch

from compat.conftest import codec_args, micro_recipe
from melgpt import checkpoint
from melgpt.compat.codec import work
from melgpt.compat.folders import find_checkpoint
from melgpt.errors import UserError
from melgpt.model_folder import load
from melgpt.pretrained import convert
from melgpt.types import Audio

LAST = Path("lightning_logs/try/checkpoints/version_0/last.ckpt")
BOARD = Path("lightning_logs/try/TensorBoardLoggs/version_0")


@pytest.fixture(autouse=True)
def _inside(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)


def test_logs_and_checkpoints_lie_where_the_readme_says() -> None:
    assert LAST.is_file()
    saved = torch.load(LAST, weights_only=True)
    assert saved["epoch"] == 1
    assert saved["global_step"] % 4 == 0, "two global steps a batch, two epochs"


def test_every_scalar_name_of_the_originals_is_logged() -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(BOARD))
    board.Reload()
    tags = board.Tags()
    losses = ["total_loss", "quant_loss", "nll_loss", "rec_loss", "d_weight", "disc_factor", "g_loss"]
    losses += ["disc_loss", "logits_real", "logits_fake"]
    both = [f"train/{name}" for name in (*losses, "aeloss", "discriminator_loss")] + [
        "learning_rate",
        "val/aeloss",
    ]
    wanted = {f"{name}_{when}" for name in both for when in ("step", "epoch")}
    wanted |= {f"val/{name}" for name in (*losses, "zero_hit_codes")}
    assert wanted <= set(tags["scalars"])
    assert "val/code_hits" in tags["histograms"]
    assert {"images_inputs", "images_reconstructions"} <= set(tags["images"])
    assert {"audio_inputs", "audio_reconstructions"} <= set(tags["audio"])
    rates = [event.value for event in board.Scalars("learning_rate_step")]
    assert rates == pytest.approx([3e-6] * len(rates)), "1e-6 times the batch size of 3, constant"
    starts = [event.value for event in board.Scalars("train/disc_factor_epoch")]
    assert starts[0] < 1, "the discriminator joins in the first epoch"
    assert starts[-1] == 1


def test_resuming_goes_on_where_it_stopped(capsys: pytest.CaptureFixture) -> None:
    before = torch.load(LAST, weights_only=True)
    work(codec_args("--train", "1", "--epochs", "3", "--resume", str(LAST)), micro_recipe())
    folders = sorted(LAST.parents[1].glob("version_*"), key=lambda path: int(path.name.split("_")[1]))
    after = torch.load(folders[-1] / "last.ckpt", weights_only=True)
    assert after["epoch"] == 2
    assert after["global_step"] == before["global_step"] * 3 // 2


def test_the_rate_of_the_flags_is_the_one_that_counts() -> None:
    words = ["--train", "1", "--epochs", "3", "--resume", str(LAST), "--learning_rate", "1e-3"]
    work(codec_args(*words, "--experiment", "quick"), micro_recipe())
    saved = torch.load("lightning_logs/quick/checkpoints/version_0/last.ckpt", weights_only=True)
    rates = {group["lr"] for state in saved["optimizer_states"] for group in state["param_groups"]}
    assert rates == {3e-3}


def test_a_run_that_is_over_says_so() -> None:
    with pytest.raises(UserError, match="2 epochs behind it"):
        work(codec_args("--train", "1", "--epochs", "2", "--resume", str(LAST)), micro_recipe())


def test_the_codes_own_folder_is_found_on_resume() -> None:
    assert find_checkpoint(str(LAST).replace("/try/", "/try-vas/"), "try", "vas") == LAST
    with pytest.raises(UserError, match="there are: .*version_0/last.ckpt"):
        find_checkpoint("lightning_logs/try/checkpoints/version_99/last.ckpt", "try", "vas")


def test_evaluation_prints_the_scalars_of_the_given_weights(capsys: pytest.CaptureFixture) -> None:
    work(codec_args("--eval", "1", "--resume", str(LAST)), micro_recipe())
    first = capsys.readouterr().out
    assert "val/total_loss" in first
    work(codec_args("--eval", "1", "--resume", str(LAST)), micro_recipe())
    assert capsys.readouterr().out == first


def test_evaluation_after_training_is_of_the_new_weights(capsys: pytest.CaptureFixture) -> None:
    work(codec_args("--eval", "1", "--resume", str(LAST)), micro_recipe())
    old = capsys.readouterr().out
    words = ["--train", "1", "--eval", "1", "--epochs", "3", "--resume", str(LAST), "--learning_rate", "1e-2"]
    work(codec_args(*words), micro_recipe())
    assert capsys.readouterr().out != old


def test_test_writes_reconstructions_with_measures(capsys: pytest.CaptureFixture) -> None:
    work(codec_args("--test", "1", "--resume", str(LAST)), micro_recipe())
    out = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert (out / "sheet.png").is_file()
    assert (out / "000_original.wav").is_file()
    assert (out / "000_reconstruction.wav").is_file()
    table = (out / "measures.tsv").read_text().splitlines()
    assert len(table) > 1
    assert 0 < float(table[1].split("\t")[1]) < 1


def test_a_model_folder_of_any_checkpoint() -> None:
    best = next(LAST.parent.glob("*-model-best.ckpt"))
    work(codec_args("--test", "1", "--resume", str(best), "--experiment", "tested"), micro_recipe())
    file = Path("lightning_logs/tested/checkpoints/version_0/codec.safetensors")
    made = checkpoint.load(file, "codec").state_dict()
    learnt = torch.load(best, weights_only=True)["state_dict"]
    assert all(torch.equal(tensor, learnt[f"codec.{name}"]) for name, tensor in made.items())
    with pytest.raises(UserError, match=r"checkpoint of train.py here.*--test 1 --resume"):
        convert(best)


def test_what_does_not_fit_is_said_in_one_short_line() -> None:
    with pytest.raises(UserError, match="does not fit the flags' sizes") as error:
        work(
            codec_args("--eval", "1", "--resume", str(LAST)), micro_recipe("codec.network.residual_blocks=3")
        )
    assert len(str(error.value)) < 400


def test_the_checkpoint_is_a_model_folder_too() -> None:
    model = load(LAST.parent)
    sound = Audio(torch.rand(1, 22050) - 0.5, 22050)
    assert model.reconstruct(sound).samples.shape == sound.samples.shape


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train", "1", "--disc_conditional", "True"], "disc_conditional"),
        (["--eval", "1"], "--resume"),
    ],
)
def test_what_cannot_be_is_said(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        work(codec_args(*words), micro_recipe())


def test_a_missing_corpus_says_where_it_belongs() -> None:
    from melgpt.compat.corpus import open_corpus

    with pytest.raises(UserError, match="data/vggsound"):
        open_corpus("vggsound", micro_recipe(), 1)


def test_the_flags_reach_the_codec_at_the_seeds_sizes() -> None:
    from melgpt.codec.codec import Codec
    from melgpt.compat.codec import _changes
    from melgpt.compat.corpus import seed_recipe

    words = ["--noise_sigma", "1", "--cd_rand_res", "1", "--num_embeddings", "64", "--embedding_dim", "32"]
    quantizer = seed_recipe("vas", _changes(codec_args(*words))).codec.quantizer.plain()
    assert (quantizer["codes"], quantizer["dim"]) == (64, 32)
    assert (quantizer["noise_sigma"], quantizer["restart"]) == (1, True)
    with torch.device("meta"):
        codec = Codec(seed_recipe("vas", _changes(codec_args())).codec)
    assert sum(p.numel() for p in codec.parameters()) == 71_907_713


def test_noise_and_restarts_train(capsys: pytest.CaptureFixture) -> None:
    recipe = micro_recipe("codec.quantizer.noise_sigma=1", "codec.quantizer.restart=true")
    work(codec_args("--train", "1", "--eval", "1", "--epochs", "1"), recipe)
    assert "val/total_loss" in capsys.readouterr().out


def test_the_vocoder_is_no_part_of_what_is_trained() -> None:
    state = torch.load(LAST, weights_only=True)["state_dict"]
    assert {key.split(".")[0] for key in state} == {"codec", "discriminator"}


def test_before_its_start_the_discriminator_counts_nothing_in_validation_either() -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    words = ["--train", "1", "--epochs", "1", "--disc_start", "1000", "--experiment", "late"]
    work(codec_args(*words), micro_recipe())
    board = EventAccumulator("lightning_logs/late/TensorBoardLoggs/version_0")
    board.Reload()
    for name in ("val/disc_factor", "val/disc_loss"):
        assert [event.value for event in board.Scalars(name)] == [0.0]


def test_a_codec_of_a_run_that_goes_on_has_its_own_sizes(tmp_path: Path) -> None:
    """codec.safetensors appears at the end of a run: until then the checkpoint tells the codebook."""
    from melgpt.compat.codes import open_codec

    (tmp_path / "last.ckpt").write_bytes(LAST.read_bytes())
    other = micro_recipe("codec.quantizer.codes=99").codec
    own = load(LAST.parent).codec.codebook_size
    assert open_codec(str(tmp_path / "last.ckpt"), other).codebook_size == own != 99
    with pytest.raises(UserError, match="do not fit"):
        open_codec(str(tmp_path / "last.ckpt"), micro_recipe("codec.network.channels=16").codec)
