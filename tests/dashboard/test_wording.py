"""Operations in words."""

from typing import Any

import pytest

from app.dashboard.wording import words_of
from app.web.operations import Step


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"resize": {"width": 800, "height": 600}}, "Resized to 800 × 600"),
        ({"resize": {"width": 800}}, "Resized to 800 pixels wide"),
        ({"resize": {"height": 600}}, "Resized to 600 pixels high"),
        (
            {"resize": {"width": 8, "height": 6, "fit": "cover"}},
            "Resized to 8 × 6, cut to fill",
        ),
        ({"crop": {"x1": 10, "y1": 20, "x2": 110, "y2": 70}}, "Cropped to 100 × 50"),
        ({"rotate": {"angle": 90}}, "Rotated by 90°"),
        ({"rotate": {"angle": 1.5707963, "unit": "radians"}}, "Rotated by 90°"),
        ({"rotate": {"angle": -2.5}}, "Rotated by -2.5°"),
        ({"mirror": {"mode": "vertical"}}, "Mirrored top to bottom"),
        ({"blur": {"sigma": 2.5}}, "Blurred by 2.5"),
        ({"blur": {}}, "Blurred by 20"),
        (
            {"modulate": {"brightness": 1.2, "hue": -30}},
            "Colours changed: brightness 120 %, hue -30°",
        ),
        ({"modulate": {}}, "Colours as they were"),
        ({"watermark": {"watermarks": [{"id": "image_1"}]}}, "Watermark laid over it"),
        ({"watermark": {"watermarks": [{}, {}]}}, "2 watermarks laid over it"),
        ({"convert": {"format": "webp", "quality": 80}}, "Converted to WebP, quality 80"),
        ({"remove_background": {}}, "Background removed"),
        ({"something_new": {}}, "Something new"),
    ],
)
def test_each_operation_has_words(operation: dict[str, Any], words: str) -> None:
    assert words_of([operation]) == [words]


def test_every_operation_of_the_api_has_words() -> None:
    for name in Step.model_fields:
        assert words_of([{name: {}}]) != [name.capitalize()], name
    assert words_of(None) == []
