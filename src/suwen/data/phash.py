"""A 64-bit perceptual hash: pictures that look alike have hashes that differ in few bits."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE, KEPT = 32, 8


def perceptual_hash(pixels: np.ndarray) -> int:
    """The DCT hash of an image (C, H, W) uint8.

    The grey picture is brought to 32 x 32, and its 8 x 8 lowest cosine frequencies are compared with their median
    (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1).
    Brightness, contrast, scale and JPEG artefacts hardly change it; mirroring and cropping do.
    """
    grey = pixels[0] if len(pixels) == 1 else pixels[:3].mean(axis=0).round().astype(np.uint8)
    small = Image.fromarray(np.ascontiguousarray(grey)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    frequencies = (_COSINES @ np.asarray(small, np.float32) @ _COSINES.T).reshape(-1)
    bits = frequencies > np.median(frequencies[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _cosines() -> np.ndarray:
    """The first rows of the DCT-II matrix: cos(pi k (2 n + 1) / 2 N)."""
    frequency, position = np.arange(KEPT)[:, None], np.arange(SIDE)[None, :]
    return np.cos(np.pi * frequency * (2 * position + 1) / (2 * SIDE)).astype(np.float32)


_COSINES = _cosines()
