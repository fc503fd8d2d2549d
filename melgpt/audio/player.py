"""A sound played by what the system has for it."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from melgpt.audio.io import write
from melgpt.errors import UserError, in_short
from melgpt.types import Audio

PLAYERS = (
    ["afplay"],
    ["pw-play"],
    ["paplay"],
    ["aplay", "-q"],
    ["ffplay", "-nodisp", "-autoexit", "-loglevel", "error"],
    ["play", "-q"],
)
"""Commands that play a WAV file to its end: of macOS, PipeWire, PulseAudio, ALSA, FFmpeg, SoX."""


def play(audio: Audio) -> None:
    """Play one sound, samples [1, T], to its end.

    Raises UserError where no player is installed, or where the player fails, as without a sound card.
    """
    player = next((command for command in PLAYERS if shutil.which(command[0])), None)
    if player is None and sys.platform != "win32":
        raise UserError(
            "no player found: install alsa-utils (aplay), pulseaudio-utils (paplay) or ffmpeg (ffplay), "
            "or save the sound and open the file"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sound.wav"
        write(file, audio)
        if player is None:
            import winsound

            winsound.PlaySound(str(file), winsound.SND_FILENAME)  # type: ignore[attr-defined]
            return
        done = subprocess.run([*player, str(file)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{player[0]} cannot play the sound: {in_short(done.stderr) or done.returncode}")
