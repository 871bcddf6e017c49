"""Brightness, saturation and hue, in CIE LCh (CIE 15: lightness 0-100, chroma, hue in degrees;
white is D65)."""

from app.imaging.engine.vips import Image

# Neutral colours come out of libvips with a chroma of up to 0.012; the faintest of all others in 8
# bits has 0.27.
NEUTRAL = 0.1
# No colour of sRGB has more chroma than this times its lightness.
STEEPEST = 21
# Any colour with this lightness is white by far.
DAZZLING = 1000


def modulate(
    image: Image, brightness: float, saturation: float, hue: int, lightness: float
) -> Image:
    """An 8-bit picture with its lightness times ``brightness`` plus ``lightness``, its chroma times
    ``saturation``, its hue turned by ``hue`` degrees. Alpha stays, gray stays gray; each channel is
    cut off at what sRGB can show.
    """
    if (brightness, saturation, hue % 360, lightness) == (1, 1, 0, 0):
        return image
    count = image.bands - 1 if image.hasalpha() else image.bands
    colours = image.extract_band(0, n=count)
    if count == 1:
        grays = Image.identity().copy(interpretation="b-w").colourspace("srgb")
        colours = colours.maplut(_modulated(grays, brightness, 1, 0, lightness)[1]).copy(
            interpretation="b-w"
        )
    else:
        colours = _modulated(colours, brightness, saturation, hue, lightness)
    return colours.bandjoin(image[count]) if image.hasalpha() else colours


def _modulated(
    colours: Image, brightness: float, saturation: float, hue: int, lightness: float
) -> Image:
    lch = colours.colourspace("lch")
    light = (lch[0] * brightness + lightness).clamp(min=0, max=DAZZLING)
    chroma = (lch[1] > NEUTRAL).ifthenelse(lch[1] * saturation, 0)
    # Else black would keep a tint, which CIE LCh allows and nobody means.
    chroma = chroma.minpair(light * STEEPEST)
    return (
        light.bandjoin([chroma, lch[2] + hue % 360]).copy(interpretation="lch").colourspace("srgb")
    )
