"""Decoding images with Pillow: six formats, and a limit on pixels that is checked before decoding."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import ConfigError
from steelyard.learning.loaders.source import import_optional

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MAX_PIXELS = 1 << 26  # of one image: 67 million, 200 MB decoded
MAX_FILE = 1 << 28  # bytes
_GREY = ("1", "L", "LA", "I", "I;16", "F")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Channels and size of every image of a source."""

    grey: bool
    height: int
    width: int
    scale: bool  # images of other sizes to this one; else they are refused

    @classmethod
    def of(cls, file: bytes, side: int = 0) -> Frame:
        """Of the first image, or of squares of `side` pixels if side is not 0."""
        with _open_image(file, "the first image") as image:
            width, height = (side, side) if side else image.size
            return cls(grey=image.mode in _GREY, height=height, width=width, scale=bool(side))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a decoded image: channels, height, width."""
        return (1 if self.grey else 3, self.height, self.width)

    @property
    def size(self) -> int:
        """Bytes of a decoded image."""
        return (1 if self.grey else 3) * self.height * self.width


def decoded(file: bytes, frame: Frame, where: str) -> NDArray[np.uint8]:
    """The pixels, (channels, height, width). Raises ConfigError for an unreadable image or another size.

    where: its name in errors.
    """
    with _open_image(file, where) as image:
        if image.size != (frame.width, frame.height):
            if not frame.scale:
                raise ConfigError(
                    f"{where}: an image is {image.size[0]} x {image.size[1]}, the first one is {frame.width} "
                    f"x {frame.height} pixels",
                    remedy="use --image-size to scale all images to squares of that many pixels",
                )
            image = image.convert("L" if frame.grey else "RGB").resize((frame.width, frame.height))
        try:
            pixels = np.asarray(image.convert("L" if frame.grey else "RGB"), np.uint8)
        except (OSError, ValueError, SyntaxError) as error:
            raise _unreadable(where, error) from error
    return pixels[None] if frame.grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _open_image(file: bytes, where: str) -> Any:
    """An image, not decoded yet, whose size is within the limits."""
    pillow = import_optional("PIL.Image")
    if len(file) > MAX_FILE:
        raise ConfigError(
            f"{where}: an image file of {len(file)} bytes", remedy=f"remove it: the limit is {MAX_FILE} bytes"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about large images: the limit below applies instead
        try:
            image = pillow.open(io.BytesIO(file), formats=FORMATS)
        except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
            raise _unreadable(where, error) from error
    if image.size[0] * image.size[1] > MAX_PIXELS:
        raise ConfigError(
            f"{where}: an image of {image.size[0]} x {image.size[1]} pixels",
            remedy=f"remove it or make it smaller: the limit is {MAX_PIXELS} pixels",
        )
    return image


def _unreadable(where: str, error: BaseException) -> ConfigError:
    return ConfigError(
        f"{where}: not a readable image ({str(error)[:200]})",
        remedy=f"repair or remove it; formats: {', '.join(FORMATS)}",
    )
