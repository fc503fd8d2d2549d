"""From one sound file to its clips' mels and what is wrong with them: the work that runs in parallel."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from melgpt.audio.io import AudioError, TruncatedAudioError
from melgpt.audio.mel import analyse
from melgpt.data import audit
from melgpt.data.audit import AuditRow
from melgpt.data.config import DataConfig
from melgpt.data.cutting import Samples, TooShortError, clips_of
from melgpt.data.duplicates import signature
from melgpt.types import Audio, MelScale


@dataclass(frozen=True)
class Piece:
    """One clip that can be used: `seconds` from `start` on."""

    start: float
    seconds: float
    mel: NDArray[np.float16]
    """[N, F] in [0, 1], time first."""
    digest: bytes
    """Of the decoded samples: equal for exact duplicates."""
    signature: NDArray[np.float32]
    """See `duplicates.signature`."""


@dataclass(frozen=True)
class Pieces:
    """All that came out of one file."""

    pieces: list[Piece] = field(default_factory=list)
    findings: list[AuditRow] = field(default_factory=list)


def cut(folder: Path, path: str, config: DataConfig, scale: MelScale) -> Pieces:
    """Decode one file, cut it into clips and analyse them; a file that cannot be used gives findings only."""
    whole, result = folder / path, Pieces()
    try:
        for clip in clips_of(whole, config, scale):
            findings = _judge(clip.original, path, clip.start, config)
            result.findings.extend(findings)
            if all(finding.action == audit.KEPT for finding in findings):
                result.pieces.append(_piece(clip.samples, clip.start, scale))
    except TooShortError as error:
        return _nothing(path, audit.TOO_SHORT, str(error))
    except TruncatedAudioError as error:
        return _nothing(path, audit.TRUNCATED, _reason(error, whole))
    except FileNotFoundError:
        return _nothing(path, audit.MISSING, "it was taken away meanwhile")
    except AudioError as error:
        return _nothing(path, audit.UNREADABLE, _reason(error, whole))
    except OSError as error:
        return _nothing(path, audit.UNREADABLE, error.strerror or str(error))
    return result


def _judge(samples: Samples, path: str, start: float, config: DataConfig) -> list[AuditRow]:
    """What is wrong with one clip, samples [T] at the file's own rate."""
    peak = audit.peak_db(samples)
    if peak < config.silence_db:
        detail = f"peak {peak:.1f} dB, silent below {config.silence_db} dB"
        return [AuditRow(path, start, audit.SILENT, "left out", detail)]
    share = audit.clipped_share(samples)
    if share > config.clipped_fraction:
        return [AuditRow(path, start, audit.CLIPPED, "kept", f"{share:.1%} of the samples in flat tops")]
    return []


def _piece(samples: Samples, start: float, scale: MelScale) -> Piece:
    values = analyse(Audio(torch.from_numpy(samples).unsqueeze(0), scale.rate), scale).values
    mel = np.ascontiguousarray(values[0].T.numpy().astype(np.float16))  # time first
    digest = hashlib.sha256(samples.tobytes()).digest()
    return Piece(start, len(samples) / scale.rate, mel, digest, signature(mel, scale))


def _nothing(path: str, reason: str, detail: str) -> Pieces:
    return Pieces(findings=[AuditRow(path, 0.0, reason, "left out", detail)])


def _reason(error: Exception, whole: Path) -> str:
    """The message of a sound error without the path that stands in a column of its own."""
    return str(error).removeprefix(f"{whole}: ")
