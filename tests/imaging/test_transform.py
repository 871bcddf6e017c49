import pickle

import pytest

from app.imaging import Format, Transform


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


@pytest.mark.parametrize("wrong", [{"quality": 0}, {"quality": 101}, {"max_width": 0}, {"max_height": -1}])
def test_nonsense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        Transform(**wrong)  # type: ignore[arg-type]


def test_goes_through_a_pipe() -> None:
    transform = Transform(Format.AVIF, max_width=5)
    assert pickle.loads(pickle.dumps(transform)) == transform
