"""Against values by hand, swatches whose sRGB equivalents are known, and against Little CMS."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from app.imaging import Format, Transform
from app.imaging.engine.containers.heif import Nclx
from app.imaging.engine.steps.colour import from_code_points, to_srgb
from app.imaging.engine.vips import GValue, Image, from_bytes
from tests.imaging.samples import (
    SRGB_PRIMARIES,
    converted,
    display_p3,
    encoded,
    gamma_curve,
    opened,
    parametric_curve,
    rgb_profile,
    srgb_profile,
    table_curve,
)


def swatch(*pixel: int, wide: bool = False) -> Image:
    kind = np.uint16 if wide else np.uint8
    return from_bytes(
        np.full((4, 4, len(pixel)), pixel, kind).tobytes(), 4, 4, len(pixel), wide=wide
    )


def with_profile(image: Image, profile: bytes) -> Image:
    image = image.copy()
    image.set_type(GValue.blob_type, "icc-profile-data", profile)
    return image


def seen(image: Image) -> list[int]:
    assert image.format == "uchar"
    return [int(value) for value in np.atleast_1d(image.numpy()[2, 2])]


def test_srgb_passes_untouched() -> None:
    assert seen(to_srgb(swatch(12, 200, 77))) == [12, 200, 77]
    assert seen(to_srgb(with_profile(swatch(12, 200, 77), srgb_profile()))) == [12, 200, 77]


def test_display_p3() -> None:
    # P3's (200, 100, 50) by hand: linear by gamma 2.2, times EG 432-1's matrix to BT.709, through
    # the sRGB curve.
    assert seen(to_srgb(with_profile(swatch(200, 100, 50), display_p3()))) == pytest.approx(
        [216, 93, 24], abs=2
    )


def test_a_broken_profile_is_ignored() -> None:
    assert seen(to_srgb(with_profile(swatch(12, 200, 77), b"no profile" * 30))) == [12, 200, 77]


def test_a_profile_of_another_space_is_ignored() -> None:
    assert seen(to_srgb(with_profile(swatch(90), display_p3()))) == [90]


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ((65535, 0, 25700), [255, 0, 100]),
        ((65535, 0, 25700, 32896), [255, 0, 100, 128]),
        ((25700,), [100]),
    ],
)
def test_sixteen_bits(wide: tuple[int, ...], narrow: list[int]) -> None:
    assert seen(to_srgb(swatch(*wide, wide=True))) == pytest.approx(narrow, abs=1)


def test_gray_stays_gray() -> None:
    image = to_srgb(swatch(90, 40))
    assert image.interpretation == "b-w"
    assert seen(image) == [90, 40]


def test_cmyk_without_a_profile() -> None:
    paper = Image.black(4, 4, bands=4).copy(interpretation="cmyk")
    assert min(seen(to_srgb(paper))) > 245
    black = paper.linear(1, [0, 0, 0, 255]).cast("uchar").copy(interpretation="cmyk")
    assert max(seen(to_srgb(black))) < 60


def test_lab() -> None:
    white = Image.black(4, 4, bands=3).linear(1, [100, 0, 0]).copy(interpretation="lab")
    assert seen(to_srgb(white)) == pytest.approx([255, 255, 255], abs=1)


def test_code_points_that_say_srgb_change_nothing() -> None:
    image = swatch(12, 200, 77)
    assert from_code_points(image, Nclx(1, 13)) is image
    assert from_code_points(image, None) is image


def test_p3_by_code_points() -> None:
    # The same by hand with the sRGB curve: 0.578, 0.127, 0.032 become 0.679, 0.108, 0.0136.
    assert seen(to_srgb(from_code_points(swatch(200, 100, 50), Nclx(12, 13)))) == pytest.approx(
        [215, 93, 31], abs=1
    )


def test_diffuse_white_of_pq_is_bright_and_highlights_keep_their_order() -> None:
    def shown(signal: float) -> int:
        code = round(signal * 65535)
        return seen(
            to_srgb(from_code_points(swatch(code, code, code, 65535, wide=True), Nclx(9, 16)))
        )[0]

    # BT.2408: 203 cd/m2 is 58 % of the signal; 1000 cd/m2 is 75 %; 26 cd/m2 (18 % gray) is 38 %.
    gray, white, highlight, peak = shown(0.38), shown(0.58), shown(0.75), shown(1.0)
    assert 90 < gray < 140
    assert white > 215
    assert gray < white < highlight <= peak <= 255


def test_alpha_of_hdr_stays() -> None:
    assert (
        seen(to_srgb(from_code_points(swatch(30000, 30000, 30000, 32896, wide=True), Nclx(9, 18))))[
            3
        ]
        == 128
    )


RAMP = np.arange(256, dtype=np.uint8).reshape(1, 256).repeat(4, 0)
CURVES = {
    "linear": table_curve([]),
    "gamma 1.8": gamma_curve(1.8),
    "gamma 2.2": gamma_curve(2.2),
    "Rec. 709": parametric_curve(3, 1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081),
}


@pytest.mark.parametrize("curve", CURVES)
def test_srgb_s_primaries_with_another_curve_are_converted(tmp_path: Path, curve: str) -> None:
    """As Little CMS does it."""
    profile = rgb_profile(SRGB_PRIMARIES, CURVES[curve]).replace(b"test", b"sRGB")
    ramp = Pillow.fromarray(np.stack([RAMP, RAMP[:, ::-1], RAMP // 2], axis=2))
    wanted = ImageCms.profileToProfile(
        ramp,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert wanted is not None
    for kind in ("PNG", "TIFF"):
        content = encoded(ramp, kind, icc_profile=profile)
        _, result = converted(tmp_path, content, Transform(Format.PNG, quality=100))
        difference = np.asarray(opened(result).convert("RGB"), int) - np.asarray(wanted, int)
        assert np.abs(difference).max() <= 2
    assert np.abs(np.asarray(wanted, int) - np.asarray(ramp, int)).max() > 5
