"""The demo writes what it promises; here with the micro recipe."""

from pathlib import Path

import soundfile

from conftest import MICRO, melgpt


def test_the_demo_writes_sounds_pictures_and_a_page(tmp_path: Path) -> None:
    done = melgpt("demo", "--out", tmp_path / "demo", "--recipe", MICRO)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "demo"
    assert {p.name for p in out.iterdir()} == {"corpus", "model", "new", "sheet.png", "README.md"}
    sounds = sorted((out / "new").glob("*.wav"))
    assert len(sounds) == 8 * 4
    for sound in sounds:
        assert sound.with_suffix(".png").is_file()
        assert sound.with_suffix(".json").is_file()
        assert soundfile.info(sound).duration > 0.02
    page = (out / "README.md").read_text(encoding="utf-8")
    assert "validation mel L1" in page
    assert "seconds: train prior" in page

    before = (out / "model" / "prior.safetensors").read_bytes()
    again = melgpt("demo", "--out", out, "--recipe", MICRO)
    assert again.returncode == 0
    assert "prior: already trained" in again.stderr
    assert (out / "model" / "prior.safetensors").read_bytes() == before
