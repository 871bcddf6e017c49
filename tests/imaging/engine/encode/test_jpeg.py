import numpy as np

from app.imaging.engine.containers import jpeg as container
from app.imaging.engine.encode import jpeg
from app.imaging.engine.vips import Image, from_bytes
from tests.imaging.samples import noise, opened


def picture() -> Image:
    photo = noise()
    return from_bytes(photo.tobytes(), *photo.size, 3)


def stored_quality(content: bytes) -> int:
    return container.read_header(content).quality or 0


def test_quality_is_the_one_that_looks_as_asked() -> None:
    for quality in (70, 80, 95, 100):
        assert abs(stored_quality(jpeg.encode(picture(), quality)) - jpeg.scaled(quality)) <= 1


def test_the_scale_rises_and_keeps_its_ends() -> None:
    scale = [jpeg.scaled(quality) for quality in range(1, 101)]
    assert scale == sorted(scale)
    assert (scale[0], scale[-1]) == (1, 100)
    assert all(ours <= usual for usual, ours in enumerate(scale, start=1))


def test_the_usual_quality_leads_back_to_ours() -> None:
    assert all(abs(jpeg.scaled(jpeg.usual(ours)) - ours) <= 1 for ours in range(1, 101))


def test_a_ceiling_is_not_passed() -> None:
    capped = jpeg.encode(picture(), 95, ceiling=jpeg.scaled(80))
    assert stored_quality(capped) == stored_quality(jpeg.encode(picture(), 80))


def test_progressive_and_bare() -> None:
    content = jpeg.encode(picture(), 80)
    assert opened(content).info["progressive"]
    assert {segment.marker for segment in container.segments(content)} <= {
        0xC2,
        0xC4,
        0xDA,
        0xDB,
        0xE0,
    }


def test_smaller_than_plain_and_as_good() -> None:
    image = picture()
    content, plain = jpeg.encode(image, 80), bytes(image.jpegsave_buffer(Q=80))
    assert len(content) < 0.95 * len(plain)
    error = np.abs(np.asarray(opened(content), int) - image.numpy()).mean()
    assert error < 1.5 * np.abs(np.asarray(opened(plain), int) - image.numpy()).mean()


def test_gray_is_stored_as_gray() -> None:
    gray = from_bytes(bytes(range(256)) * 16, 64, 64, 1)
    assert opened(jpeg.encode(gray, 80)).mode == "L"
