"""A prior that sees videos: from feature files to a model that is steered by what is seen."""

import io
import json
import pickle
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import melgpt as package
from conftest import MICRO, SHARED
from melgpt.checkpoint import load
from melgpt.cli import main
from melgpt.data.code_store import Augmentation, encode_split
from melgpt.data.features import FeatureStore, Videos, read_joined
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.training.sequences import AllSequences, Sequences, collate
from melgpt.training.settings import PriorTraining

DEPTH, RATE, FRAMES = 6, 21.5, 4
CONDITION = ("prior.conditioning.kind=frames_class", f"prior.conditioning.frames={FRAMES}")


@dataclass
class Done:
    """What a command left behind."""

    returncode: int
    stderr: str


def melgpt(*arguments: object) -> Done:
    """Run a command in this process, which has loaded torch already."""
    with redirect_stderr(io.StringIO()) as errors, redirect_stdout(io.StringIO()):
        code = main([str(argument) for argument in arguments])
    return Done(code, errors.getvalue())


def write_videos(folder: Path, store: Store) -> Path:
    """A made-up feature file for each sound; frame i holds i in its last place."""
    for row in range(len(store)):
        sound = Path(store.clip(row).path)
        values = np.random.default_rng(row).normal(size=(50, DEPTH)).astype(np.float32)
        values[:, 0], values[:, -1] = store.label_ids[row], np.arange(50)
        path = folder / sound.parent / "feature_rgb_dim6_21.5fps" / f"{sound.stem}.pkl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(values))
    return folder


@pytest.fixture(scope="module")
def run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose codec was trained before, with a data set that has features."""
    folder = tmp_path_factory.mktemp("videos") / "run"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("prior*", "codes"))
    videos = write_videos(folder.parent / "features", Store.open(folder / "data"))
    done = melgpt("features", folder / "data", videos)
    assert done.returncode == 0, done.stderr
    assert f"{DEPTH} numbers a frame" in done.stderr
    done = melgpt("train", "prior", folder / "data", "--out", folder, *CONDITION)
    assert done.returncode == 0, done.stderr
    return folder


def video(run: Path, number: int = 0) -> Path:
    return sorted((run.parent / "features").rglob("*.pkl"))[number]


def test_the_model_knows_what_it_sees(run: Path) -> None:
    config = load(run / "prior.safetensors").config
    assert config.conditioning.plain() | {"drop": 0.1} == {
        "kind": "frames_class",
        "frames": FRAMES,
        "drop": 0.1,
        "depth": DEPTH,
        "span": round(config.columns * 16 / (22050 / 256) * RATE),
        "skip": 0,
    }
    figures = json.loads((run / "figures.json").read_text())
    assert figures["prior"]["wrong_video_bits"] > 0
    assert "shown another clip's video" in (run / "README.md").read_text()


def test_a_trained_prior_is_kept_until_the_features_change(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    assert "already trained" in melgpt("train", "prior", copy / "data", "--out", copy).stderr
    other = write_videos(tmp_path / "features", Store.open(copy / "data"))
    path = next(other.rglob("*.pkl"))
    path.write_bytes(pickle.dumps(np.ones((50, DEPTH))))
    assert melgpt("features", copy / "data", other).returncode == 0
    done = melgpt("train", "prior", copy / "data", "--out", copy)
    assert done.returncode == 0, done.stderr
    assert "already trained" not in done.stderr


def test_a_video_and_a_label_steer_what_is_generated(run: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        out = tmp_path / name
        done = melgpt(
            "generate", run, "--features", video(run), "--label", "dog", "--out", out, "--guidance", 2
        )
        assert done.returncode == 0, done.stderr
    (wav,) = (tmp_path / "a").glob("*.wav")
    assert wav.name == f"{video(run).stem}_dog_seed0_000.wav"
    assert all(p.read_bytes() == (tmp_path / "b" / p.name).read_bytes() for p in (tmp_path / "a").iterdir())
    assert json.loads(wav.with_suffix(".json").read_text())["features"] == [50, DEPTH]
    done = melgpt("generate", run, "--features", video(run), "--out", tmp_path / "c")
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "c").glob("*.wav")] == [f"{video(run).stem}_seed0_000.wav"]


def test_another_video_gives_another_sound(run: Path) -> None:
    model = package.load(run)
    with torch.no_grad():  # a few steps of training teach nothing: the frames are made to matter
        model.prior.conditioning.embed.weight.mul_(10)
        for block in model.prior.gpt.blocks:
            block.attention.project.weight.mul_(10)
    seen = [torch.from_numpy(read_joined([video(run, number)])) for number in (0, -1)]
    grids = [model.generate(label="dog", features=f, seconds=0.9)[0].codes.grid for f in (*seen, None)]
    again = model.generate(label="dog", features=seen[0], seconds=0.9)[0].codes.grid
    assert torch.equal(grids[0], again)
    assert len({tuple(grid.flatten().tolist()) for grid in grids}) == 3


def test_a_long_sound_follows_a_long_video(run: Path) -> None:
    model = package.load(run)
    features = torch.from_numpy(read_joined([video(run)]))
    sound = model.generate(features=features, seconds=2.2, n=2, seed=1)[1]
    assert sound.audio.seconds == pytest.approx(2.2, abs=1e-4)
    alone = model.generate(features=features, seconds=2.2, n=2, seed=1)[1]
    assert torch.equal(sound.audio.samples, alone.audio.samples)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give features of a video or a label"),
        (
            {"features": torch.zeros(5, DEPTH + 1)},
            rf"reads features \[frames, {DEPTH}\] of a video, not \[5, 7\]",
        ),
        ({"features": torch.zeros(0, DEPTH)}, "reads features"),
        ({"features": torch.full((5, DEPTH), torch.nan)}, "no finite numbers"),
        ({"features": torch.zeros(5, DEPTH), "label": "dgo"}, "did you mean 'dog'"),
    ],
)
def test_what_cannot_steer_is_refused(run: Path, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        package.load(run).generate(**options)


def test_a_model_of_classes_sees_no_video(trained: Path, run: Path, tmp_path: Path) -> None:
    for more in ([], ["--label", "dog"]):
        done = melgpt("generate", trained, "--features", video(run), *more, "--out", tmp_path / "new")
        assert done.returncode == 2
        assert "sees no video" in done.stderr
    with pytest.raises(UserError, match="give a label"):
        package.load(trained).generate()


def test_a_model_of_videos_alone_takes_no_label(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    done = melgpt("train", "prior", copy / "data", "--out", copy, "prior.conditioning.kind=frames")
    assert done.returncode == 0, done.stderr
    model = package.load(copy)
    assert model.labels == ()
    assert model.generate(features=torch.zeros(5, DEPTH))[0].how["label"] is None
    with pytest.raises(UserError, match="leave the label 'dog' out"):
        model.generate(features=torch.zeros(5, DEPTH), label="dog")
    done = melgpt("generate", copy, "--out", tmp_path / "new")
    assert "give features of a video" in done.stderr


def test_data_without_features_is_refused_before_anything_is_trained(
    trained: Path, corpus: Path, tmp_path: Path
) -> None:
    done = melgpt("fit", corpus, "--out", tmp_path / "run", "--recipe", MICRO, *CONDITION)
    assert done.returncode == 2
    assert "has no features of its videos" in done.stderr
    assert not (tmp_path / "run" / "codec.safetensors").exists()
    data = shutil.copytree(trained / "data", tmp_path / "data")
    copy = shutil.copytree(trained, tmp_path / "copy", ignore=shutil.ignore_patterns("data", "training"))
    done = melgpt("train", "prior", data, "--out", copy, *CONDITION)
    assert done.returncode == 2
    assert "attach them with melgpt features" in done.stderr


def test_a_rolled_sound_takes_its_video_along(run: Path) -> None:
    store, codec, prior = (
        Store.open(run / "data"),
        load(run / "codec.safetensors"),
        load(run / "prior.safetensors"),
    )
    rows, columns = codec.config.rows, prior.config.columns
    config = prior.config.conditioning.changed(frames=columns, span=columns)
    videos = Videos(FeatureStore.open(store.folder, store.fingerprint), config)
    augment = Augmentation(variants=1)
    codes = encode_split(codec, store, "train", run / "rolled", augment=augment, columns=columns, stamp="a")
    known = {tuple(codes.sequence(i, 16)[0].tolist()): i for i in range(len(codes))}
    sequences = Sequences(
        codes, PriorTraining(roll=1.0), rows=rows, end=16, epoch=0, length=60, videos=videos
    )
    turned = 0
    for i in range(60):
        tokens, _, frames = sequences[i]
        for turn in range(columns):
            number = known.get(tuple(tokens.roll(-rows * turn).tolist()))
            if number is not None:
                straight = videos(int(codes.index[number]["row"]))
                if torch.equal(frames, straight.roll(turn, dims=0)):
                    turned += turn > 0
                    break
        else:
            pytest.fail("no video fits its sound")
    assert turned > 0
    targets, labels, stacked = collate([AllSequences(codes, 16, videos)[i] for i in range(3)])
    assert (len(targets), len(labels), stacked.shape) == (3, 3, (3, columns, DEPTH))


def test_the_originals_sample_goes_the_whole_road(tmp_path: Path) -> None:
    """Two real videos: rgb and flow of the one, ResNet of the other, 2048 numbers a frame each."""
    sample = SHARED / "data" / "vas_sample"
    if not sample.is_dir():
        pytest.skip(f"the sample of VAS is not here ({sample})")
    lines = ["file_name,label,split"]
    for name, split in (("dog/video_02677", "train"), ("drum/video_02480", "valid")):
        target = tmp_path / "videos" / f"{name}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample / "videos" / f"{name}.mp4", target)
        lines.append(f"{name}.mp4,sound,{split}")
    (tmp_path / "videos" / "metadata.csv").write_text("\n".join(lines) + "\n")
    data, run = tmp_path / "data", tmp_path / "run"
    done = melgpt("prepare", tmp_path / "videos", data, "clip_seconds=5")
    assert done.returncode == 0, done.stderr
    done = melgpt("features", data, sample / "features")
    assert done.returncode == 0, done.stderr
    for stage in ("codec", "prior"):
        done = melgpt("train", stage, data, "--out", run, "--recipe", MICRO, CONDITION[0])
        assert done.returncode == 0, done.stderr
    rgb, flow = sorted((sample / "features" / "dog").rglob("*.pkl"), key=lambda p: "flow" in str(p))
    done = melgpt(
        "generate", run, "--features", f"{rgb},{flow}", "--label", "sound", "--out", tmp_path / "new"
    )
    assert done.returncode == 0, done.stderr
    info = soundfile.info(tmp_path / "new" / "video_02677_sound_seed0_000.wav")
    assert 0 < info.frames <= 6 * 22050
