"""A first look at a photo that a stranger sends: only its header is read."""

from __future__ import annotations

import io
import warnings

from PIL import Image

TOO_LARGE, UNREADABLE = 413, 415
"""What HTTP calls these."""


def refusal(data: bytes, max_pixels: int) -> tuple[int, str] | None:
    """Why these bytes are not taken as a photo, an HTTP status and one line; None where they may be one."""
    try:
        with warnings.catch_warnings():
            # Pillow prints lines about large pictures, for which our limit is lower.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
    except Image.DecompressionBombError:
        return TOO_LARGE, f"the photo has more than {max_pixels} pixels"
    except Exception:  # noqa: BLE001 - Pillow raises whatever hostile bytes lead it to
        return UNREADABLE, "not a picture in a known format"
    if width * height > max_pixels:
        return TOO_LARGE, f"the photo has {width}x{height} pixels, more than {max_pixels}"
    return None
