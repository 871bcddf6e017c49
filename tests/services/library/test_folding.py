"""Folded text: equal for what people take for the same, and stable."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.services.library import folding
from app.services.library.folding import distinct_tags, fold, sort_name, tag_key, words_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(
    "aAäÄåÅæÆßẞøØłŁıİİI\u0307\u0301\u0327ﬁΣσςάΆкйЙ한국がｶﾞ東हिन्दी 12²½🦎\u200d\ufe0f", max_size=20
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("DÜRER", "durer"), ("Łódź", "lodz"), ("Straße STRASSE", "strasse strasse"),
        ("Ærø, Þór & Đà Nẵng", "aero, thor & da nang"), ("İstanbul ılık", "istanbul ilik"),
        ("ΟΔΟΣ οδός", "οδοσ οδοσ"), ("Ёлка", "елка"), ("東京", "東京"), ("ﬁnal ２", "final 2"),
        ("שָׁלוֹם", "שלום"), ("50%_a", "50%_a"), ("a\u00adb\u200bc\u202e", "abc"), ("", ""),
    ],
)  # fmt: skip
def test_case_accents_and_forms_do_not_count(text: str, folded: str) -> None:
    assert fold(text) == unicodedata.normalize("NFKD", folded)


def test_vowels_of_other_scripts_do() -> None:
    for one, other in (("हिन्दी", "हनद"), ("มี", "มา"), ("が", "か")):
        assert fold(one) != fold(other)


@given(text=TEXTS)
@example("ŉ\u0345")
def test_folding_is_stable(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert fold(unicodedata.normalize(form, text)) == folded
    for other in (text.casefold(), text.upper().casefold()):
        assert fold(other) == folded


@given(text=TEXTS)
def test_every_word_of_a_name_finds_it(text: str) -> None:
    searched = folding.search_text(folding.nfc(text), "other.jpg", [])
    for word in text.split():
        assert all(part in searched for part in words_of(word))
    assert all(word in searched for word in words_of(text))


def test_words_are_taken_once_and_the_longest_first() -> None:
    assert words_of(" lake IMG  img_1 Ḷake im b") == ["img_1", "lake", "b"]
    assert words_of("ß \u0301 SS") == ["ss"]


@given(tag=TEXTS)
def test_keys_of_tags_are_short_and_stable(tag: str) -> None:
    key = tag_key(tag)
    assert len(key) <= folding.MAX_TAG
    assert tag_key(key) == key
    assert bool(key) == bool(tag)


def test_long_keys_stay_apart() -> None:
    first, second = "ﷺ" * 64, "ﷺ" * 63 + "x"
    assert tag_key(first) != tag_key(second)
    assert tag_key(tag_key(first)) == tag_key(first)


def test_of_tags_that_fold_alike_the_first_spelling_stays() -> None:
    assert distinct_tags(["Dog", "DOG", "cat", " dog ", "Cafe\u0301", "café"]) == [
        "Dog",
        "cat",
        "Café",
    ]


@given(numbers=st.lists(st.integers(0, 10**40), unique=True), text=st.sampled_from("a# é"))
def test_numbers_in_names_are_in_order(numbers: list[int], text: str) -> None:
    names = [f"IMG{text}{number}.jpg" for number in sorted(numbers)]
    assert sorted(names, key=sort_name) == names


def test_sorted_names_are_short_and_leading_zeros_do_not_count() -> None:
    assert sort_name("IMG_0007.JPG") == sort_name("img_7.jpg") < sort_name("img_10.jpg")
    assert sort_name("img_000.jpg") < sort_name("img_1.jpg")
    assert len(sort_name("1a" * 127)) == len(sort_name("ﷺ" * 255)) == folding.MAX_NAME
