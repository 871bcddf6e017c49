"""libvips, set up once: one thread, no operation cache, no loader that is not meant for untrusted
files.

To import this starts libvips, which hangs after a fork. Only worker processes, tests and benchmarks
do so.
"""

import pyvips
from pyvips import Error as VipsError
from pyvips import GValue, Image, Interpolate

__all__ = ["GValue", "Image", "Interpolate", "VipsError", "from_bytes", "lacks_memory"]

pyvips.block_untrusted_set(True)
# A cached operation would hold a customer's file open, and its pixels in memory, after the answer
# was sent.
pyvips.cache_set_max(0)
# pyvips hands libvips' warnings to Python in the middle of an operation. Garbage that is collected
# just then frees pictures under libvips, which aborts. Without this glib writes them to stderr.
pyvips._remove_log_handler()
# libvips' threads begin with the first picture, and stay: no customer's file should pay for them.
Image.black(8, 8).jpegsave_buffer()

# How libvips, libjpeg, libheif and the C library word it.
OUT_OF_MEMORY = (
    "out of memory",
    "insufficient memory",
    "memory allocation",
    "cannot allocate memory",
)


def from_bytes(pixels: object, width: int, height: int, bands: int, *, wide: bool = False) -> Image:
    """An 8-bit (``wide``: 16-bit) sRGB or gray picture around interleaved samples."""
    image = Image.new_from_memory(pixels, width, height, bands, "ushort" if wide else "uchar")
    space = ("grey16" if wide else "b-w") if bands < 3 else ("rgb16" if wide else "srgb")
    return image.copy(interpretation=space)


def lacks_memory(error: Exception) -> bool:
    """Whether a decoder or an encoder failed because it got too little memory."""
    return any(words in str(error).lower() for words in OUT_OF_MEMORY)
