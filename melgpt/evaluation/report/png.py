"""A picture of 256 colours as a PNG (https://www.w3.org/TR/png-3): a third of the bytes of true colour."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def palette_png(places: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """PNG of places [H, W] in a palette [at most 256, 3] of RGB."""
    height, width = places.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), places], axis=1)  # 0: a line without a filter
    chunks = [
        (b"IHDR", header),
        (b"PLTE", palette.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
