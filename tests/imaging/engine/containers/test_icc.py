from app.imaging.engine.containers.icc import is_srgb
from tests.imaging.samples import display_p3, srgb_profile


def test_srgb_is_told_from_others() -> None:
    assert is_srgb(srgb_profile())
    assert not is_srgb(display_p3())


def test_a_false_name_is_seen_through() -> None:
    assert not is_srgb(display_p3().replace(b"test", b"sRGB"))


def test_nonsense_is_not_srgb() -> None:
    assert not is_srgb(b"sRGB")
    assert not is_srgb(b"sRGB" * 200)
