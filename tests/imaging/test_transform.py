import pickle
from pathlib import Path

import pytest

from app.imaging import Derivation, Format, Transform
from app.imaging.operations import Blur, Fit, Resize, Rotate


def test_canonical_form_is_stable_and_leaves_out_what_is_unset() -> None:
    assert Transform().canonical() == "quality=80"
    whole = Transform(Format.WEBP, quality=55, max_width=300, max_height=200)
    assert whole.canonical() == "format=webp;max_height=200;max_width=300;quality=55"
    stretched = Transform(max_width=300, preserve_aspect=False)
    assert stretched.canonical() == "max_width=300;preserve_aspect=False;quality=80"


def test_without_a_bound_the_ratio_is_kept_either_way() -> None:
    assert Transform(preserve_aspect=False).canonical() == Transform().canonical()


def test_different_meanings_have_different_canonical_forms() -> None:
    transforms = [
        Transform(),
        Transform(quality=81),
        Transform(max_width=9),
        Transform(max_height=9),
        Transform(max_height=9, preserve_aspect=False),
        Transform(Format.PNG),
    ]
    assert len({transform.canonical() for transform in transforms}) == len(transforms)


@pytest.mark.parametrize(
    "wrong", [{"quality": 0}, {"quality": 101}, {"max_width": 0}, {"max_height": -1}]
)
def test_nonsense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        Transform(**wrong)  # type: ignore[arg-type]


def test_what_is_stamped_is_found_again_by_itself() -> None:
    assert (
        Transform(watermarked_for_test=True).canonical() == "quality=80;watermarked_for_test=True"
    )


def test_what_operations_make_is_not_found_again() -> None:
    with pytest.raises(ValueError):
        Transform(operations=(Blur(3),)).canonical()


@pytest.mark.parametrize(
    ("transform", "size"),
    [
        (Transform(), (4000, 3000)),
        (Transform(max_width=1000), (1000, 750)),
        (Transform(operations=(Resize(width=100),)), (100, 75)),
        (Transform(operations=(Resize(100, 100, Fit.CONTAIN),)), (100, 75)),
        (Transform(operations=(Resize(100, 100, Fit.COVER),)), (133, 100)),
        (Transform(operations=(Resize(100, 9000),)), (100, 3000)),
        (Transform(max_width=1000, operations=(Resize(width=100),)), (100, 75)),
        (Transform(operations=(Rotate(90), Resize(width=100))), (4000, 3000)),
    ],
)
def test_only_what_comes_first_makes_it_small_at_once(
    transform: Transform, size: tuple[int, int]
) -> None:
    assert transform.first_size(4000, 3000) == size


@pytest.mark.parametrize(
    "sent",
    [
        Transform(Format.AVIF, max_width=5),
        Derivation(
            Transform(operations=(Resize(5), Rotate(0.5))),
            Path("thumbnail"),
            {"mark": Path("file")},
        ),
    ],
)
def test_goes_through_a_pipe(sent: Transform | Derivation) -> None:
    assert pickle.loads(pickle.dumps(sent)) == sent
