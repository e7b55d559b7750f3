"""Pictures: whether a file is one that every browser shows, and a small copy of it.

Only PNG, JPEG, GIF and WebP are ever decoded, within bounds that are looked at before any
pixel is: a picture of few bytes and many pixels costs nothing here.
"""

import io
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

#: Formats that are shown in pages -> their media types.
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
MEDIA_TYPES = frozenset(FORMATS.values())

#: Pixels of a picture that is decoded at all: 160 MB of memory for the shortest while.
MOST_PIXELS = 40_000_000
_MOST_SIDE = 30_000
#: Sides of the small copy, at the most.
THUMBNAIL = (320, 320)

#: Pictures are decoded one at a time, so that many uploads do not add up.
_decoding = threading.Lock()


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that is a picture.

    Attributes:
        width: pixels as shown, after turning it as its camera noted; so is `height`.
        thumbnail: a small copy without any metadata; None for one too large to decode.
    """

    media_type: str
    width: int
    height: int
    thumbnail: bytes | None


def read_picture(path: Path) -> Picture | None:
    """Return what the picture at `path` is; None when it is none, or a broken one."""
    with warnings.catch_warnings():
        # Our own bound is below the one that Pillow warns at.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=tuple(FORMATS)) as image:
                return _read(image)
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError):
            return None
        except (ValueError, SyntaxError, EOFError, IndexError, TypeError, OverflowError):
            # What Pillow's decoders raise on broken files besides its own errors.
            return None


def is_blank(path: Path) -> bool:
    """Return whether a picture that `read_picture` knows shows one colour all over."""
    with Image.open(path, formats=tuple(FORMATS)) as image, _decoding:
        darkest, lightest = image.convert("RGBA").convert("L").getextrema()
        alpha = image.convert("RGBA").getchannel("A").getextrema()
    return bool(darkest == lightest and alpha[0] == alpha[1])


def _read(image: Image.Image) -> Picture:
    media_type = FORMATS[image.format or ""]
    width, height = image.size
    if width * height > MOST_PIXELS or max(width, height) > _MOST_SIDE:
        return Picture(media_type, width, height, None)
    with _decoding:
        # A JPEG is decoded at a fraction of its size where that is enough.
        image.draft(None, (THUMBNAIL[0] * 2, THUMBNAIL[1] * 2))
        image.load()
        turned = ImageOps.exif_transpose(image)
        is_turned = turned.width != turned.height and (
            (turned.width > turned.height) != (width > height)
        )
        if is_turned:
            width, height = height, width
        turned.thumbnail(THUMBNAIL, reducing_gap=2.0)
        return Picture(media_type, width, height, _encoded(turned))


def _encoded(image: Image.Image) -> bytes:
    """Return pixels alone: neither position, nor camera, nor colour profile go along."""
    target = io.BytesIO()
    if image.has_transparency_data:
        _bare(image.convert("RGBA")).save(target, "PNG", optimize=True)
    else:
        _bare(image.convert("RGB")).save(target, "JPEG", quality=82)
    return target.getvalue()


def _bare(image: Image.Image) -> Image.Image:
    bare = Image.new(image.mode, image.size)
    bare.paste(image)
    return bare
