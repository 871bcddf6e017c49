"""Names for unpacking: what any system can write, and no two the same."""

import time

import pytest

from app.services.filenames import Names


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ("hero.jpg", "hero.webp"),
        ("hero.webp", "hero.webp"),
        ("IMG_0001.HEIC", "IMG_0001.webp"),
        ("scan.tiff", "scan.webp"),
        ("hero.jpg.png", "hero.jpg.webp"),
        ("hero", "hero.webp"),
        ("archive.2024", "archive.2024.webp"),
        ("photo 10.30.55", "photo 10.30.55.webp"),
        ("photo 10.30.55.jpeg", "photo 10.30.55.webp"),
        ("../../etc/passwd", "passwd.webp"),
        ("..", "unnamed.webp"),
        ("/", "unnamed.webp"),
        ("", "unnamed.webp"),
        ("C:\\photos\\cat.jpg", "cat.webp"),
        ("C:cat.jpg", "C_cat.webp"),
        ('what? "this" <is> a|b*.png', "what_ _this_ _is_ a_b_.webp"),
        ("a\u202egpj.exe", "agpj.exe.webp"),
        ("tab\tnul\x00\x9f.jpg", "tabnul.webp"),
        ("broken \ud800 half.jpg", "broken  half.webp"),
        ("lines\u2028and \uffff.jpg", "lines_and _.webp"),
        ("trailing. . .", "trailing.webp"),
        ("before .jpg", "before.webp"),
        ("._resource.jpg", "_resource.webp"),
        (".hidden.jpg", "hidden.webp"),
        ("CON", "_CON.webp"),
        ("nul.jpg", "_nul.webp"),
        (".aux.2024.jpg", "_aux.2024.webp"),
        ("com1 .x", "_com1 .x.webp"),
        ("COM¹.png", "_COM¹.webp"),
        ("console.jpg", "console.webp"),
        ("cafe\u0301.jpg", "café.webp"),
    ],
)
def test_names_that_any_system_can_write(sent: str, named: str) -> None:
    assert Names().unique(sent, "webp") == named


@pytest.mark.parametrize("letter", ["n", "ä", "\N{CAMERA}"])
def test_a_long_name_keeps_its_extension_and_its_number(letter: str) -> None:
    names = Names()
    for number, end in [(1, f"{letter}.webp"), (2, f"{letter} (2).webp")]:
        name = names.unique(letter * 255 + ".jpg", "webp")
        assert name.endswith(end), number
        assert 230 < len(name.encode()) <= 255


def test_equal_names_are_numbered() -> None:
    names = Names(reserved=("errors.json",))
    assert [names.unique("hero.jpg", "webp") for _ in range(3)] == [
        "hero.webp",
        "hero (2).webp",
        "hero (3).webp",
    ]
    assert names.unique("hero.png", "png") == "hero.png"
    assert names.unique("HERO.png", "webp") == "HERO (4).webp"
    assert names.unique("hero (2).jpg", "webp") == "hero (2) (2).webp"
    assert names.unique("hero (5).jpg", "webp") == "hero (5).webp"
    assert names.unique("hero.jpg", "webp") == "hero (6).webp"
    assert names.unique("straße", "webp") == "straße.webp"
    assert names.unique("STRASSE", "webp") == "STRASSE (2).webp"
    assert names.unique("\u0390", "webp") == "\u0390.webp"
    assert names.unique("\u03aa\u0301", "webp").endswith(
        " (2).webp"
    )  # its capital, which is two characters
    assert names.unique("Errors", "json") == "Errors (2).json"


def test_fifty_thousand_equal_names() -> None:
    """In time that grows with their number only, also where numbers meet names that end in one."""
    names, begun = Names(), time.process_time()
    numbered = {names.unique(f"hero ({number}).jpg", "webp") for number in range(2, 25_001)}
    equal = [names.unique("hero.jpg", "webp") for _ in range(25_001)]
    assert time.process_time() - begun < 10
    assert equal[-1] == "hero (50000).webp"
    assert len(numbered.union(equal)) == 50_000
