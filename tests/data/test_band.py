"""What the mel's band leaves out of each class: measured before resampling, and the preset that keeps it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import SHARED
from made_sounds import save
from melgpt.data.band import OFFERED, Band, edges_of
from melgpt.data.band_energy import energy_shares
from melgpt.data.config import DataConfig
from melgpt.data.prepare import Prepared, is_current, prepare
from melgpt.data.preset import mel_for
from melgpt.data.store import MANIFEST, Store
from melgpt.types import MelScale

RATE = 44100
SCALE = MelScale()
EDGES = edges_of(SCALE)


@pytest.fixture
def sonic_pi() -> Path:
    """A library of one-shots, a folder a class."""
    found = SHARED / "data" / "sonic_pi"
    if not found.is_dir():
        pytest.skip(f"the one-shots are not here ({found})")
    return found


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> NDArray[np.float32]:
    """A sine [T] that fades in and out, so that nothing clicks."""
    time = np.arange(round(seconds * rate)) / rate
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.05)
    return (0.3 * fade * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def folder(root: Path, rate: int = RATE, **classes: float) -> Path:
    """Two tones a class, at and near its frequency."""
    for label, hertz in classes.items():
        for number in range(2):
            save(root / label / f"{number}.wav", tone(hertz * (1 + 0.01 * number), 1.0, rate), rate)
    return root


def outside(samples: NDArray[np.float32], rate: int = RATE) -> tuple[float, float]:
    """Share of the energy below and above the default band."""
    return Band.of_clips(EDGES, [("a", energy_shares(samples, rate, EDGES))]).outside(SCALE)["a"]


@pytest.mark.parametrize("seconds", [0.02, 0.15, 0.5, 3.0])
@pytest.mark.parametrize(("hertz", "below", "above"), [(3000, 0, 0), (5512.5, 0, 0), (11025, 0, 1)])
def test_a_tone_lies_where_it_lies(hertz: float, below: float, above: float, seconds: float) -> None:
    assert outside(tone(hertz, seconds)) == pytest.approx((below, above), abs=0.02)


def test_a_kick_lies_below_the_band_and_a_mixture_is_shared_by_energy() -> None:
    assert outside(tone(60, 0.4))[0] > 0.97
    mixture = tone(60, 4) + tone(3000, 4) * np.float32(np.sqrt(3))
    assert outside(mixture) == pytest.approx((0.25, 0), abs=0.01)


@pytest.mark.parametrize(("hertz", "seconds"), [(0, 0.1), (0, 4), (5, 4), (10, 4)])
def test_an_offset_and_rumble_are_not_counted(hertz: float, seconds: float) -> None:
    rumble = 2 * tone(hertz, seconds) if hertz else np.float32(0.3)
    assert outside(tone(1000, seconds) + rumble) == pytest.approx((0, 0), abs=0.03)


@pytest.mark.parametrize("place", [0.0, 4.3, 9.7])
def test_a_short_loud_sound_in_a_long_clip_is_met(place: float) -> None:
    clip = (np.random.default_rng(0).normal(size=10 * RATE) * 1e-4).astype(np.float32)
    hat = tone(10000, 0.1)
    first = round(place * RATE)
    clip[first : first + len(hat)] += hat
    assert outside(clip)[1] == pytest.approx(1, abs=0.03)


def test_a_beat_in_time_with_the_windows_does_not_mislead() -> None:
    beat = np.concatenate([tone(60, 0.25), tone(1000, 0.25)])
    assert outside(np.tile(beat, 16))[0] == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("rate", [1, 100, 8000, 384000])
@pytest.mark.parametrize("samples", [1, 70, 5000])
def test_any_rate_and_length_has_shares_that_sum_to_one_or_none(rate: int, samples: int) -> None:
    shares = energy_shares(np.random.default_rng(0).normal(size=samples).astype(np.float32), rate, EDGES)
    assert shares.shape == (len(EDGES) + 1,)
    assert shares.sum() == pytest.approx(1) or not shares.any()


def test_silence_has_no_shares_and_does_not_count() -> None:
    silent = energy_shares(np.zeros(RATE, np.float32), RATE, EDGES)
    loud = energy_shares(tone(9000), RATE, EDGES)
    assert not silent.any()
    assert not energy_shares(np.full(5 * RATE, 0.5, np.float32), RATE, EDGES).any()
    assert Band.of_clips(EDGES, [("a", silent), ("a", loud), ("b", silent)]).outside(SCALE).keys() == {"a"}


@pytest.mark.parametrize(
    ("classes", "rate", "preset"),
    [
        ({"kick": 60, "voice": 1000}, RATE, "hifigan"),
        ({"kick": 60, "hat": 15000}, RATE, "wide"),
        ({"voice": 1000, "snare": 4000}, RATE, "specvqgan"),
        ({"voice": 1000, "hiss": 7800}, 16000, "hifigan"),
        ({"voice": 1000, "snare": 7000}, 22050, "specvqgan"),
        ({"hat": 10000, "voice": 1000}, 22050, "wide"),
    ],
)
def test_the_smallest_preset_that_holds_all_classes_is_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], classes: dict[str, float], rate: int, preset: str
) -> None:
    source = folder(tmp_path / "in", rate, **classes)
    assert mel_for(source, DataConfig()) == {"preset": preset}
    assert f"mel.preset={preset}: " in capsys.readouterr().err
    finding = prepare(source, tmp_path / "out", DataConfig(), SCALE).left_out_by_band
    assert (finding is None) == (preset == "specvqgan")
    if finding is not None:
        assert finding.endswith(f"to keep it: mel.preset={preset}")
    assert prepare(source, tmp_path / "out", DataConfig(), MelScale.preset(preset)).left_out_by_band is None


def test_each_class_that_loses_much_is_named_with_its_share_and_side(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", kick=60, hat=12000, voice=1000)
    lines = prepare(source, tmp_path / "out", DataConfig(), SCALE).report()
    (line,) = (line for line in lines if "band" in line)
    assert "of the energy of kick (below 125 Hz)" in line or "of kick (below 125 Hz)" in line
    assert "hat (above 7600 Hz)" in line
    assert "voice" not in line
    assert "mel.preset=wide" in line


def test_what_no_preset_holds_is_said(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", 96000, bat=40000, kick=60)
    finding = str(prepare(source, tmp_path / "out", DataConfig(), SCALE).left_out_by_band)
    assert "mel.preset=hifigan keeps most; no preset keeps 100 % of the energy of bat" in finding
    wide = prepare(source, tmp_path / "out", DataConfig(), MelScale.preset("wide")).left_out_by_band
    assert str(wide).endswith("no preset keeps it")


def test_many_classes_are_said_in_one_line() -> None:
    classes = {f"c{n}": (1.0, *[0.0] * len(EDGES)) for n in range(9)}
    assert "and 4 more classes" in str(Band(EDGES, classes).finding(SCALE))


def test_offered_presets_go_from_small_to_large() -> None:
    scales = [MelScale.preset(name) for name in OFFERED]
    assert [scale.f_max - scale.f_min for scale in scales] == sorted(s.f_max - s.f_min for s in scales)


def manifest(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / MANIFEST).read_text()))


def test_a_data_set_keeps_the_shares_and_one_without_them_still_opens(tmp_path: Path) -> None:
    source, out = folder(tmp_path / "in", kick=60, hat=12000), tmp_path / "out"
    prepare(source, out, DataConfig(), SCALE)
    kept = manifest(out)
    assert sum(kept["band"]["classes"]["kick"]) == pytest.approx(1, abs=1e-3)
    del kept["band"]
    (out / MANIFEST).write_text(json.dumps(kept))
    assert is_current(source, out, DataConfig(), SCALE), "it is not made anew"
    assert Prepared.read(out).left_out_by_band is None
    assert len(Store.open(out)) == 2, "a hat of which nothing lies in the band is silent"


def test_finished_mels_have_nothing_to_measure(
    tmp_path: Path, vas_sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mel_for(vas_sample, DataConfig()) == {"preset": "specvqgan"}
    assert "there is no sound to measure" in capsys.readouterr().err
    result = prepare(vas_sample, tmp_path / "out", DataConfig(), SCALE)
    assert result.left_out_by_band is None
    assert "band" not in manifest(tmp_path / "out")


def test_a_library_of_one_shots_is_told_what_it_loses(sonic_pi: Path, tmp_path: Path) -> None:
    config = DataConfig(only=("bd", "hat", "sn"))
    finding = str(prepare(sonic_pi, tmp_path / "out", config, SCALE).left_out_by_band)
    assert "of the energy of bd (below 125 Hz)" in finding
    assert "of hat (above 7600 Hz)" in finding
    assert "sn" not in finding.split("not learnt:")[1].split(";")[0]
    assert mel_for(sonic_pi, config) == {"preset": "wide"}
