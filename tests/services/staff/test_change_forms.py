"""What staff type."""

import pytest

from app.errors import BadRequest
from app.services.staff.change_forms import Correction


def images_of(typed: str) -> int:
    return Correction.read({"images": typed, "way": "correction", "once": "a"}).images


@pytest.mark.parametrize(
    ("typed", "number"),
    [("7", 7), (" 1500 ", 1500), ("1,500", 1500), ("1.500.000", 1_500_000), ("12’000", 12_000)],
)
def test_thousands_may_be_apart(typed: str, number: int) -> None:
    assert images_of(typed) == number


@pytest.mark.parametrize("typed", ["1.5", "15,00", "1,500.00", "1.500,000", "1 5", "1500,000", "٣"])
def test_what_may_be_meant_as_a_fraction_is_refused(typed: str) -> None:
    with pytest.raises(BadRequest):
        images_of(typed)
