import pytest

from app.imaging import ImageTooLarge, Limits
from app.imaging.engine.containers.header import Damaged, Header

LIMITS = Limits(max_pixels=1000, max_frames=5, max_side=100, max_scans=3)


@pytest.mark.parametrize("header", [Header(100, 10), Header(10, 20, frames=5), Header(1, 100)])
def test_within(header: Header) -> None:
    LIMITS.check(header)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (Header(101, 1), "over 100 pixels wide or high"),
        (Header(40, 26), "picture has over"),
        (Header(20, 20, frames=3), "animation's frames have over"),
        (Header(1, 1, frames=6), "over 5 frames"),
    ],
)
def test_beyond(header: Header, reason: str) -> None:
    with pytest.raises(ImageTooLarge, match=reason) as refusal:
        LIMITS.check(header)
    assert (refusal.value.status, refusal.value.code) == (413, "image_too_large")


def test_duration() -> None:
    Limits(max_duration_seconds=7200).check_duration(7200)
    with pytest.raises(ImageTooLarge, match="longer than 2 hours"):
        Limits(max_duration_seconds=7200).check_duration(7200.1)


def test_scans() -> None:
    LIMITS.check_scans(3)
    with pytest.raises(ImageTooLarge, match="over 3 progressive scans"):
        LIMITS.check_scans(4)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-3, 5)])
def test_a_header_without_a_picture(size: tuple[int, int]) -> None:
    with pytest.raises(Damaged):
        Header(*size)
