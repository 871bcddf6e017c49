"""Turn every colour space into 8-bit sRGB, or into gray where the picture has no colour."""

import numpy as np

from app.imaging.engine.containers.heif import Nclx
from app.imaging.engine.containers.icc import is_srgb
from app.imaging.engine.vips import Image, VipsError

PROFILE = "icc-profile-data"
GRAY = ("b-w", "grey16")
# H.273 code points.
BT2020, P3_DCI, P3_D65 = 9, 11, 12
PQ, HLG = 16, 18
# To linear BT.709 light: BT.2407 §2.2, and the same from P3's primaries (SMPTE RP 431-2, EG 432-1).
TO_BT709 = {
    BT2020: [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    P3_D65: [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]],
}
TO_BT709[P3_DCI] = TO_BT709[P3_D65]
# BT.2408: diffuse white is 203 cd/m2 in PQ, and 75 % of the signal in HLG, which is 0.265 of its
# linear light.
PQ_WHITE, HLG_WHITE = 203.0, 0.265
# Light up to here is shown as it is; brighter light is bent towards white.
KNEE = 0.6


def profile(image: Image) -> bytes | None:
    """The embedded ICC profile."""
    return bytes(image.get(PROFILE)) if image.get_typeof(PROFILE) else None


def to_srgb(image: Image) -> Image:
    """8-bit sRGB or gray, with the alpha it had. A profile that can't be used is ignored."""
    colours, alpha = _apart(image)
    gray = colours.interpretation in GRAY
    embedded = profile(image)
    if embedded and not is_srgb(embedded):
        colours = _by_profile(colours)
    colours = colours.colourspace("b-w" if gray else "srgb").cast("uchar")
    return colours.bandjoin(alpha) if alpha is not None else colours


def _apart(image: Image) -> tuple[Image, Image | None]:
    """Colour bands, and alpha as 8 bits."""
    if not image.hasalpha():
        return image, None
    count = {"b-w": 1, "grey16": 1, "cmyk": 4}.get(image.interpretation, 3)
    alpha = image[count]
    if image.interpretation in ("grey16", "rgb16"):
        alpha = alpha / 257
    elif image.interpretation == "scrgb":
        alpha = alpha * 255
    return image.extract_band(0, n=count), alpha.rint().cast("uchar")


def _by_profile(colours: Image) -> Image:
    """Through the embedded profile, relative to white, with the black points matched, as browsers
    show it."""
    try:
        return colours.icc_transform(
            "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=8
        )
    except VipsError:
        return colours


def from_code_points(image: Image, nclx: Nclx | None) -> Image:
    """A picture whose colours are given by H.273 code points, as sRGB; the same where they say sRGB
    or nothing.

    HDR (PQ, HLG) is shown as on a screen with BT.2408's diffuse white; highlights above are bent,
    not cut.
    """
    hdr = nclx is not None and nclx.transfer in (PQ, HLG)
    if nclx is None or image.bands < 3 or not (hdr or nclx.primaries in TO_BT709):
        return image
    colours, alpha = image.extract_band(0, n=3), image[3:] if image.bands > 3 else None
    steps = 256 if image.format == "uchar" else 65_536
    light = colours.maplut(_light(nclx.transfer, steps))
    if nclx.primaries in TO_BT709:
        light = light.recomb(Image.new_from_array(TO_BT709[nclx.primaries]))
    if hdr:
        bent = 1 - ((light * -1 + KNEE) / (1 - KNEE)).exp() * (1 - KNEE)
        light = (light > KNEE).ifthenelse(bent, light)
    shown = light.copy(interpretation="scrgb").colourspace("rgb16" if steps > 256 else "srgb")
    return shown.bandjoin(alpha) if alpha is not None else shown


def _light(transfer: int, steps: int) -> Image:
    """Linear light by code value, with diffuse white at 1: ST 2084 (PQ), ARIB STD-B67 (HLG), else
    the sRGB curve."""
    value = np.linspace(0.0, 1.0, steps)
    if transfer == PQ:
        root = value ** (32 / 2523)
        light = (np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (
            8192 / 1305
        )
        light *= 10_000 / PQ_WHITE
    elif transfer == HLG:
        light = np.where(
            value <= 0.5,
            value**2 / 3,
            (np.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12,
        )
        light /= HLG_WHITE
    else:
        light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return Image.new_from_memory(light.astype("float32").tobytes(), steps, 1, 1, "float")
