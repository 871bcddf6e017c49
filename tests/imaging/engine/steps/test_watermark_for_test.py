"""What a test key's pictures show, on whatever there was, and what is left of the picture under
it."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from app.imaging.engine.steps.frames import each
from app.imaging.engine.steps.watermark_for_test import watermark_for_test
from app.imaging.engine.vips import GValue, Image, from_bytes
from tests.imaging.samples import CORPUS, noise

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
# What nobody overlooks, in levels of 255.
VISIBLE = 40
# In decibels of what was uploaded: what nobody would publish.
WORTHLESS = 25
random = np.random.default_rng(7)


def image_of(pixels: Pixels) -> Image:
    height, width, bands = pixels.shape
    return from_bytes(np.ascontiguousarray(pixels).tobytes(), width, height, bands)


def watermarked(pixels: Pixels) -> Pixels:
    image = watermark_for_test(image_of(pixels))
    assert (image.height, image.width, image.bands, image.format) == (*pixels.shape, "uchar")
    assert image.interpretation == ("b-w" if pixels.shape[2] < 3 else "srgb")
    marked: Pixels = image.numpy().reshape(pixels.shape)
    return marked


def filled(width: int, height: int, *pixel: int) -> Pixels:
    return np.full((height, width, len(pixel)), pixel, np.uint8)


def changed(pixels: Pixels) -> Mask:
    """Where the watermarked picture looks different, on a background of any kind."""
    return np.asarray((np.abs(watermarked(pixels).astype(int) - pixels) > VISIBLE).any(axis=2))


def static(width: int, height: int, bands: int = 3) -> Pixels:
    """Noise in which no pixel tells of another."""
    return random.integers(0, 256, (height, width, bands), dtype=np.uint8)


def gone(width: int, height: int) -> Mask:
    """Where pictures of this size show something else than their pixels."""
    noises = [static(width, height) for _ in range(4)]
    replaced: Mask = np.any([watermarked(noise) != noise for noise in noises], axis=(0, 3))
    return replaced


def quarters(mask: Mask) -> list[Mask]:
    return [part for half in np.array_split(mask, 2) for part in np.array_split(half, 2, axis=1)]


@pytest.mark.parametrize(
    "pixel",
    [(255, 255, 255), (0, 0, 0), (128, 128, 128), (230, 30, 60), (0,), (255,), (128,), (0, 0),
     (255, 0, 0, 128),
     (0, 0, 0, 0), (255, 255, 255, 0)],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    ("width", "height"),
    [(2, 6), (1, 300), (10_000, 1), (16, 16), (24, 24), (48, 48), (700, 30), (60, 960), (320, 240)],
)
def test_it_shows_on_any_colour_in_any_size(
    pixel: tuple[int, ...], width: int, height: int
) -> None:
    assert changed(filled(width, height, *pixel)).mean() > 0.05


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 70) | st.integers(70, 300),
    st.sampled_from([1 / 16, 1 / 5, 2 / 3, 1, 4 / 3, 7, 16]),
)
def test_no_quarter_of_a_picture_is_free(side: int, ratio: float) -> None:
    width, height = (side, round(side * ratio)) if ratio >= 1 else (round(side / ratio), side)
    hidden = gone(width, height)
    assert all(part.any() for part in quarters(hidden) if part.size)
    if side >= 12:
        assert 0.4 < hidden.mean() < 0.7
        assert all(part.mean() > 0.15 for part in quarters(hidden))


def test_beside_the_mark_the_picture_stays() -> None:
    photo = np.asarray(noise(320, 240))
    assert (watermarked(photo) == photo).all(axis=2).mean() > 0.5


def test_the_same_picture_gets_the_same_mark_and_the_mark_ignores_the_pixels() -> None:
    photo = static(320, 240)
    assert np.array_equal(watermarked(photo), watermarked(photo))
    hidden = gone(320, 240)
    for other in (noise(320, 240), noise(320, 240, seed=2)):
        pixels = np.asarray(other)
        assert np.array_equal(watermarked(pixels)[~hidden], pixels[~hidden])


def test_the_words_grow_with_the_picture() -> None:
    """A row of pixels goes through as many strokes, whatever the size."""
    marked = [changed(filled(width, width, 255)) for width in (300, 1200)]
    strokes = [(here[:, 1:] & ~here[:, :-1]).sum() / len(here) for here in marked]
    assert strokes[1] == pytest.approx(strokes[0], rel=0.25)


def test_frames_are_marked_alike_and_none_shows_in_another() -> None:
    frames = [static(100, 80) for _ in range(3)]
    roll = image_of(np.concatenate(frames)).copy()
    roll.set_type(GValue.gint_type, "page-height", 80)
    marked = each(roll, watermark_for_test)
    assert marked.get_page_height() == 80
    expected = np.concatenate([watermarked(frame) for frame in frames])
    assert np.array_equal(marked.numpy(), expected)


# ── what is left ──────────────────────────────────────────────────────────────────────────────────


def decibels(original: Pixels, guess: NDArray[np.float64], where: Mask) -> float:
    """The peak signal-to-noise ratio of a guess."""
    error = np.mean((original[where].astype(float) - np.clip(guess[where], 0, 255)) ** 2)
    return float(10 * math.log10(255**2 / error)) if error else math.inf


def cloudy(width: int, height: int, seed: int) -> Pixels:
    """Noise with the spectrum of photos: the longer a wave, the higher."""
    noises = np.random.default_rng(seed).standard_normal((3, height, width))
    frequency = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    waves = np.fft.irfft2(np.fft.rfft2(noises) / frequency**1.2, (height, width))
    pixels: Pixels = np.clip(128 + 50 * waves / waves.std(), 0, 255).astype(np.uint8)
    return np.moveaxis(pixels, 0, -1)


def chosen(width: int, height: int) -> list[Pixels]:
    """Twenty pictures that an attacker has watermarked: flat, sloping, checked, noisy, and like
    photos."""
    flat = [filled(width, height, level, level, level) for level in (0, 255, 64, 128, 192)]
    along = np.broadcast_to(
        np.linspace(0, 255, width).astype(np.uint8)[:, np.newaxis], (height, width, 3)
    )
    down = np.broadcast_to(
        np.linspace(0, 255, height).astype(np.uint8)[:, np.newaxis, np.newaxis], along.shape
    )
    checked = np.where(np.indices((height, width)).sum(axis=0)[..., np.newaxis] % 2, 255, 0).astype(
        np.uint8
    )
    noises = [static(width, height) for _ in range(5)]
    photos = [cloudy(width, height, seed) for seed in range(6)]
    return [
        *flat,
        along,
        down,
        255 - along,
        np.broadcast_to(checked, along.shape),
        *noises,
        *photos,
    ]


def subtracted(photo: Pixels) -> NDArray[np.float64]:
    """The mark as one line a sample, ``mark = slope * picture + level`` by least squares, and that
    undone."""
    pictures = np.stack(chosen(photo.shape[1], photo.shape[0])).astype(float)
    assert len(pictures) == 20
    marks = np.stack([watermarked(picture.astype(np.uint8)) for picture in pictures]).astype(float)
    spread = pictures - pictures.mean(axis=0)
    slope = (spread * (marks - marks.mean(axis=0))).mean(axis=0) / (spread**2).mean(axis=0)
    level = marks.mean(axis=0) - slope * pictures.mean(axis=0)
    known = np.abs(slope) > 0.02
    guess: NDArray[np.float64] = np.where(
        known, (watermarked(photo) - level) / np.where(known, slope, 1), 128
    )
    return guess


def regressed(photo: Pixels) -> NDArray[np.float64]:
    """What is most likely, by ridge regression over the twenty: each sample told by what is shown
    at it and around."""
    reach = photo.shape[0] // 12

    def around(mark: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each sample's own, four shown beside it, four farther off, and a constant; the last axis
        counts them."""
        steps = [
            (0, 0),
            *(
                (by * x, by * y)
                for by in (reach, 2 * reach)
                for x, y in ((0, 1), (1, 0), (0, -1), (-1, 0))
            ),
        ]
        wide = np.pad(mark, ((2 * reach,) * 2, (2 * reach,) * 2, (0, 0)), "edge")
        height, width = mark.shape[:2]
        views = [wide[2 * reach + y :, 2 * reach + x :][:height, :width] for x, y in steps]
        return np.stack([*views, np.full_like(mark, 128)], axis=-1) / 128

    products, targets = np.zeros(()), np.zeros(())
    for picture in chosen(photo.shape[1], photo.shape[0]):
        shown = around(watermarked(picture).astype(float))
        products = products + shown[..., :, np.newaxis] * shown[..., np.newaxis, :]
        targets = targets + shown * picture[..., np.newaxis]
    weights = np.linalg.solve(products + 0.1 * np.eye(10), np.asarray(targets)[..., np.newaxis])[
        ..., 0
    ]
    guess: NDArray[np.float64] = (around(watermarked(photo).astype(float)) * weights).sum(axis=-1)
    return guess


def patched(photo: Pixels) -> NDArray[np.float64]:
    """What is gone, drawn anew from its surroundings: coarse first, then smoothed from all
    sides."""

    def fill(pixels: NDArray[np.float64], hidden: Mask) -> NDArray[np.float64]:
        height, width = hidden.shape
        if not hidden.any() or min(height, width) < 4:
            return np.where(hidden[..., np.newaxis], 128, pixels)
        edges = ((0, height % 2), (0, width % 2))
        seen = np.pad(~hidden, edges)[..., np.newaxis]
        blocks = (-(-height // 2), 2, -(-width // 2), 2, -1)
        count = seen.reshape(blocks).sum(axis=(1, 3))
        total = (np.pad(pixels, (*edges, (0, 0))) * seen).reshape(blocks).sum(axis=(1, 3))
        coarse = fill(total / np.maximum(count, 1), count[..., 0] == 0)
        guess = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        for _ in range(8):
            guess = np.where(hidden[..., np.newaxis], guess, pixels)
            wide = np.pad(guess, ((1, 1), (1, 1), (0, 0)), "edge")
            guess = (wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]) / 4
        return np.where(hidden[..., np.newaxis], guess, pixels)

    return fill(watermarked(photo).astype(float), gone(photo.shape[1], photo.shape[0]))


ATTACKS = (subtracted, regressed, patched)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("width", "height"), [(240, 180), (60, 240), (24, 24), (16, 16)])
def test_twenty_chosen_pictures_do_not_bring_back_what_is_gone(
    attack: Callable[[Pixels], NDArray[np.float64]], width: int, height: int
) -> None:
    photo = cloudy(width, height, seed=99)
    hidden = gone(width, height)
    assert decibels(photo, attack(photo), hidden) < WORTHLESS
    assert decibels(photo, watermarked(photo).astype(float), ~hidden) == math.inf


@pytest.mark.corpus
@pytest.mark.parametrize("path", sorted((CORPUS / "photos").glob("*")), ids=lambda path: path.name)
def test_nor_do_they_of_a_real_photo(path: Path) -> None:
    with Pillow.open(path) as file:
        picture = file.convert("RGB")
    picture.thumbnail((320, 320))
    photo = np.asarray(picture)
    hidden = gone(photo.shape[1], photo.shape[0])
    for attack in ATTACKS:
        assert decibels(photo, attack(photo), hidden) < WORTHLESS, attack


# ── transparency ──────────────────────────────────────────────────────────────────────────────────


def test_transparent_parts_become_visible() -> None:
    alpha = watermark_for_test(image_of(filled(200, 150, 0, 0, 0, 0)))[3].numpy()
    assert 0.05 < (alpha > 100).mean() < 0.5
    assert (alpha == 0).mean() > 0.5


@pytest.mark.parametrize("alpha", [0, 1, 255])
def test_no_colour_hides_under_transparency(alpha: int) -> None:
    """Of what nobody sees nothing is shown either, and of what is hardly seen no more than of the
    rest."""
    hidden = gone(160, 120)
    one, other = (np.dstack([static(160, 120), filled(160, 120, alpha)]) for _ in range(2))
    for pixels in (one, other):
        pixels[:53] = (90, 120, 150, 255)
    first, second = (watermarked(pixels)[hidden].astype(int) for pixels in (one, other))
    assert np.abs(first - second).max() < (1 if alpha == 0 else 90)
    assert (np.corrcoef(first[:, :3].ravel(), one[hidden][:, :3].ravel())[0, 1]) < 0.1


def test_alpha_itself_carries_nothing_under_the_mark() -> None:
    hidden = gone(240, 180)
    photo = cloudy(240, 180, seed=5)[..., :1]
    pixels = np.dstack([filled(240, 180, 90, 120, 150), photo])
    shown = watermarked(pixels)[..., 3:]
    assert decibels(photo, shown.astype(float), hidden) < WORTHLESS


def test_a_plate_shows_the_colours_that_are_seen() -> None:
    """Red beside what is transparent: no black of invisible pixels darkens it."""
    pixels = filled(400, 300, 0, 0, 0, 0)
    pixels[:, 200:] = (200, 0, 0, 255)
    shown = watermarked(pixels)
    plates = (shown[..., 3] > 30) & (shown[..., 1] == 0) & gone(400, 300) & (shown[..., 0] > 0)
    assert plates.any()
    # Shaded red, and the ends of the letters' dark edges.
    assert np.median(shown[plates][:, 0]) == pytest.approx(160, abs=8)
