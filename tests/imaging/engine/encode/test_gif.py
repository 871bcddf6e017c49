from app.imaging.engine.encode import gif
from app.imaging.engine.vips import Image
from tests.imaging.samples import animated, frames_of, noise, opened


def moving() -> Image:
    frames = [
        noise(seed=1).point(lambda value, step=step: value * (20 + step) // 24) for step in range(4)
    ]
    return Image.gifload_buffer(animated("GIF", frames, duration=40, loop=2), n=-1)


def test_keeps_frames_delays_and_loops() -> None:
    content = opened(gif.encode(moving(), 100))
    assert (frames_of(content), content.info["duration"], content.info["loop"]) == (4, 40, 2)


def test_quality_makes_it_smaller() -> None:
    assert len(gif.encode(moving(), 50)) < len(gif.encode(moving(), 100))
