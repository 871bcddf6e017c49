import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imaging.engine.containers.icc import is_srgb
from tests.imaging.samples import (
    SRGB_PRIMARIES,
    display_p3,
    gamma_curve,
    parametric_curve,
    rgb_profile,
    srgb_profile,
    table_curve,
)


def test_srgb_is_told_from_others() -> None:
    assert is_srgb(srgb_profile())
    assert not is_srgb(display_p3())


def test_a_false_name_is_seen_through() -> None:
    assert not is_srgb(display_p3().replace(b"test", b"sRGB"))


def test_nonsense_is_not_srgb() -> None:
    assert not is_srgb(b"sRGB")
    assert not is_srgb(b"sRGB" * 200)
    assert not is_srgb(srgb_profile()[:140])


def srgb_light(level: float) -> float:
    return level / 12.92 if level <= 0.04045 else float(((level + 0.055) / 1.055) ** 2.4)


SRGB_NUMBERS = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
CURVES = {
    "parametric": (parametric_curve(3, *SRGB_NUMBERS), True),
    "parametric, seven numbers": (parametric_curve(4, *SRGB_NUMBERS, 0, 0), True),
    "table": (table_curve([srgb_light(step / 1023) for step in range(1024)]), True),
    "coarse table": (table_curve([srgb_light(step / 4) for step in range(5)]), False),
    "linear": (table_curve([]), False),
    "linear table": (table_curve([0, 1]), False),
    "gamma 2.2": (gamma_curve(2.2), False),
    "gamma 1.8": (parametric_curve(0, 1.8), False),
    "Rec. 709": (parametric_curve(3, 1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081), False),
    "offset": (parametric_curve(2, 2.4, 1 / 1.055, 0.055 / 1.055, 0.1), False),
    "line and power": (parametric_curve(1, 2.4, 1 / 1.055, 0.055 / 1.055), False),
    "unknown form": (parametric_curve(9, *SRGB_NUMBERS), False),
    "unknown kind": (b"????" + bytes(20), False),
}


@pytest.mark.parametrize("curve", CURVES)
def test_the_curve_decides_whatever_the_name(curve: str) -> None:
    content, same = CURVES[curve]
    profile = rgb_profile(SRGB_PRIMARIES, content)
    assert is_srgb(profile) == is_srgb(profile.replace(b"test", b"sRGB")) == same


@given(st.binary(max_size=60), st.sampled_from([b"curv", b"para"]))
def test_no_curve_fails(content: bytes, kind: bytes) -> None:
    assert is_srgb(rgb_profile(SRGB_PRIMARIES, kind + content)) in (True, False)
