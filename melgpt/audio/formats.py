"""Which files are sounds: by the suffix where it leaves no doubt, else by the first bytes.

Suffixes and signatures are those of what libsndfile and FFmpeg's libraries decode.
"""

import os
import struct
from collections.abc import Callable
from typing import Literal

_SOUND = (
    "wav wave bwf rf64 bw64 w64 aif aiff aifc aff afc au caf caff flac fla ogg oga opus spx mp3 mp2 mp1 "
    "mpa mpga m2a m1a aac adts latm loas m4a m4b m4r m4p 3ga amr awb ac3 eac3 ec3 dts dtshd thd mlp wma "
    "xwma asf mka weba ra wv tta tak ape mpc mp+ mpp shn bonk osq qoa dsf dff oma aa3 mmf voc sds sph "
    "nist ircam avr paf fap pvf xi 8svx 16sv sd2 qcp g722 722 gsm dfpwm adx hca brstm bfstm bcstm vag "
    "xvag aud apc aix ast genh spdif vqf kvag rso apm"
)
_VIDEO = (
    "mp4 m4v mov qt 3gp 3gpp 3g2 3gp2 f4v f4a f4b isma ismv mkv mk3d webm avi divx wmv flv mpg mpeg mpe "
    "m2ts m2t m2p vob ogv ogx rm rmvb mxf gxf nut wtv nsv mj2 swf"
)
SUFFIXES = frozenset(f".{suffix}" for suffix in f"{_SOUND} {_VIDEO}".split())
"""Lower case. A file with one of these is taken for a sound without a look at its bytes."""

_OTHER = (
    "txt md rst rtf pdf doc docx xls xlsx ods odt ppt pptx csv tsv json jsonl xml html htm css yaml yml "
    "toml ini cfg log png jpg jpeg gif bmp tif tiff webp svg heic avif ico psd zip gz bz2 xz 7z rar tar "
    "tgz zst py ipynb js c h cpp rs go java sh bat exe dll so npy npz pkl pt pth ckpt safetensors h5 hdf5 "
    "sqlite db lmdb parquet cue m3u m3u8 pls lrc srt vtt lab textgrid eaf mid midi asd als flp rpp "
    "reapeaks pek pkf sfk wfm md5 sha1 sha256"
)
OTHER = frozenset(f".{suffix}" for suffix in _OTHER.split())
"""Suffixes of texts, pictures, archives and data: such a file is never opened."""

_LONGEST_SUFFIX = 9
HEAD = 1 << 15
"""Bytes that are read of a file whose suffix tells nothing: two frames of any stream of frames."""

_BEGINNINGS = (
    b"OggS", b"fLaC", b"ID3\x02", b"ID3\x03", b"ID3\x04", b"caff\x00\x01", b".snd", b"dns.", b"#!AMR",
    b"wvpk", b"TTA1\x01\x00", b"TTA2\x01\x00", b"tBaK", b"ajkg", b"MPCK", b"MP+\x07", b"MP+\x17", b"qoaf",
    b"ADIF", b"OSQ \x30\x00", b"DSD \x1c\x00", b"FRM8\x00\x00", b"EA3\x03", b"ea3\x03", b"MMMD", b"2BIT",
    b"NIST_1A", b"PVF1\n", b"PVF2\n", b" paf\x00\x00\x00\x00", b"fap \x00\x00\x00\x00", b"\xf0\x7e",
    b"Creative Voice File\x1a", b"ALawSoundFile**", b"Extended Instrument:", b"riff\x2e\x91\xcf\x11",
    b"\x64\xa3\x01\x00", b"\x64\xa3\x02\x00", b"\x64\xa3\x03\x00", b"\x64\xa3\x04\x00", b"\x00\x01\xa3\x64",
    b"\x00\x02\xa3\x64", b"\x00\x03\xa3\x64", b"\x00\x04\xa3\x64", b"\x7f\xfe\x80\x01", b"\xfe\x7f\x01\x80",
    b"DTSHDHDR", b"\x72\xf8\x1f\x4e", b"HCA\x00", b"KVAG", b"VAGp", b"RSTM\xfe\xff", b"STRM\x00", b".RMF",
    b".ra\xfd", b"FLV\x01", b"NSVf", b"NSVs", b"\x00\nSMJPEG", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    b"\x00\x00\x01\xba", b"nut/multimedia container", b"\x06\x0e\x2b\x34\x02\x05\x01\x01",
    b"\x00\x00\x00\x00\x01\xbc", b"\xb7\xd8\x00\x20",
)  # fmt: skip
"""What a file begins with, from Ogg, FLAC and ID3 to MXF, GXF and WTV; `64 a3` is IRCAM, `7f fe` DTS."""
_RIFF = (b"WAVE", b"AVI ", b"XWMA", b"QLCM", b"CDXA")
_FORM = (b"AIFF", b"AIFC", b"8SVX", b"16SV")
_PICTURES = (b"hei", b"hev", b"mif1", b"msf1", b"avi", b"crx ", b"jp2 ", b"jpx ", b"jpm ")
"""Brands of pictures in the container that MP4 has."""

Kind = Literal["sound", "other", "look"]


def kind_of(name: str) -> Kind:
    """What a file's name tells of it: a sound, something else, or that its first bytes must tell."""
    suffix = os.path.splitext(name)[1].strip().lower()
    if suffix in SUFFIXES:
        return "sound"
    return "other" if suffix in OTHER else "look"


def shown_suffix(name: str) -> str:
    """The suffix as it is counted, `.xyz`; empty where the name has none, or only a dot in its words."""
    suffix = os.path.splitext(name)[1].strip().lower()
    plain = suffix[1:].replace("+", "").replace("_", "").replace("-", "").isalnum()
    return suffix if plain and len(suffix) <= _LONGEST_SUFFIX else ""


def is_sound_file(path: str) -> bool:
    """Whether a file is a sound or a video by its name or, where that tells nothing, by its first bytes."""
    kind = kind_of(os.path.basename(path))
    return kind == "sound" or (kind == "look" and begins_as_sound(path))


def begins_as_sound(path: str) -> bool:
    """Whether the first bytes of a file are those of a sound or a video; not where it cannot be read."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            return looks_like_sound(head, os.fstat(file.fileno()).st_size)
    except OSError:
        return False


def looks_like_sound(head: bytes, size: int) -> bool:
    """Whether these are the first bytes of a sound or a video file of `size` bytes in all."""
    return head.startswith(_BEGINNINGS) or any(check(head, size) for check in _CHECKS)


def _is_container(head: bytes, size: int) -> bool:
    """RIFF and FORM with a kind of sound in them, ISO media, QuickTime, Matroska, Monkey's Audio."""
    name, kind = head[:4], head[8:12]
    if name == b"MAC ":  # Monkey's Audio of version 3.8 to 4.2, and no text that begins so
        return 3800 <= int.from_bytes(head[4:6], "little") < 4200
    if name in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FFIR"):
        return kind in _RIFF
    if name == b"FORM":
        return kind in _FORM
    if head[4:8] == b"ftyp":
        return not kind.startswith(_PICTURES)
    if name == b"\x1a\x45\xdf\xa3":
        return b"matroska" in head[:128] or b"webm" in head[:128]
    # QuickTime without a brand begins with one of its atoms.
    return head[4:8] in (b"moov", b"mdat", b"wide", b"skip", b"free", b"pnot") and head[:2] == b"\x00\x00"


def _is_transport_stream(head: bytes, size: int) -> bool:
    """MPEG-TS: a sync byte every 188 bytes, on discs every 192 behind a time stamp, rarely every 204."""
    return any(
        len(head) > first + 3 * step and all(head[first + n * step] == 0x47 for n in range(4))
        for first, step in ((0, 188), (4, 192), (0, 204))
    )


def _is_table(head: bytes, size: int) -> bool:
    """MATLAB's files as libsndfile writes them, HTK waveforms, Akai MPC samples and ADX."""
    if b"samplerate" in head[:256] and (
        head.startswith(b"MATLAB 5.0 MAT-file") or head[20:30] == b"samplerate"
    ):
        return True
    if len(head) >= 12:
        samples, _, width, kind = struct.unpack(">IIHH", head[:12])
        if (width, kind) == (2, 0) and samples and size == 12 + 2 * samples:
            return True
    if head[:2] == b"\x80\x00" and len(head) >= 4:
        copyright_at = struct.unpack(">H", head[2:4])[0] - 2
        return head[copyright_at : copyright_at + 6] == b"(c)CRI"
    # 42 bytes of header: a name padded to 17, level, channels, first, loop and last sample, rate.
    return head[:2] == b"\x01\x04" and len(head) > 42 and head[21] <= 1 and b"\x00" not in head[2:18]


def _is_stream_of_frames(head: bytes, size: int) -> bool:
    """MPEG audio, ADTS, LATM and AC-3 without a container: where one frame ends, the next begins."""
    for length in _FRAME_LENGTHS:
        first = length(head)
        if first and first < size and length(head[first:]):
            return True
    return False


_MPEG_KILOBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By version (2 with 2.5) and layer; ISO 11172-3 and 13818-3."""


def _mpeg_frame(head: bytes) -> int:
    """Bytes of the frame of MPEG audio that begins here, 0 where none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = {3: 1, 2: 2, 0: 25}.get(head[1] >> 3 & 3, 0), 4 - (head[1] >> 1 & 3)
    bits, rates = head[2] >> 4, head[2] >> 2 & 3
    if not version or layer == 4 or bits in (0, 15) or rates == 3:
        return 0
    generation = 1 if version == 1 else 2
    kilobits = _MPEG_KILOBITS[generation, layer if generation == 1 or layer == 1 else 2][bits - 1]
    rate = (44100, 48000, 32000)[rates] // {1: 1, 2: 2, 25: 4}[version]
    padding = head[2] >> 1 & 1
    if layer == 1:
        return (12 * kilobits * 1000 // rate + padding) * 4
    return (72 if layer == 3 and generation == 2 else 144) * kilobits * 1000 // rate + padding


def _adts_frame(head: bytes) -> int:
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= 7 else 0


def _latm_frame(head: bytes) -> int:
    if len(head) < 3 or head[0] != 0x56 or head[1] & 0xE0 != 0xE0:
        return 0
    return 3 + ((head[1] & 0x1F) << 8 | head[2])


_AC3_KILOBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def _ac3_frame(head: bytes) -> int:
    """AC-3 and, from its stream number on, E-AC-3."""
    if len(head) < 6 or head[:2] != b"\x0b\x77":
        return 0
    if head[5] >> 3 > 10:
        return 2 * (((head[2] & 7) << 8 | head[3]) + 1)
    rates, size = head[4] >> 6, head[4] & 63
    if rates == 3 or size >= 2 * len(_AC3_KILOBITS):
        return 0
    kilobits = _AC3_KILOBITS[size // 2]
    words = (2 * kilobits, 320 * kilobits // 147 + size % 2, 3 * kilobits)[rates]
    return 2 * words


_FRAME_LENGTHS: tuple[Callable[[bytes], int], ...] = (_mpeg_frame, _adts_frame, _latm_frame, _ac3_frame)
_CHECKS: tuple[Callable[[bytes, int], bool], ...] = (
    _is_container,
    _is_transport_stream,
    _is_table,
    _is_stream_of_frames,
)
