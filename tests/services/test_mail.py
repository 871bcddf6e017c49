"""Letters: what strangers typed stays text, on one line, wherever it is put."""

import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.models import Mail
from app.services import mail
from app.services.mail import SUBJECT_CHARACTERS, TEMPLATES, VALUE_CHARACTERS
from tests.clock import NOON

FOLDER = TEMPLATES / "mail"
LETTERS = sorted({path.stem for path in FOLDER.iterdir()} - {"layout", "parts"})
HOSTILE = "<b>Eve</b>\r\nBcc: x@example.com\n\n<img src=x>\u202egnp\x07 & {{ 7 * 7 }}"
ON_ONE_LINE = "<b>Eve</b> Bcc: x@example.com <img src=x>gnp & {{ 7 * 7 }}"
INVITED_TXT = """{% extends "mail/layout.txt" %}
{% block subject %}{{ name }} invites you{% endblock %}
{% block text %}
{{ name }} invites you:

{{ url }}
{% endblock %}
{% block why %}
{{ name }} knows your address.
{% endblock %}
"""
INVITED_HTML = """{% extends "mail/layout.html" %}
{% from "mail/parts.html" import button %}
{% block main %}<p title="{{ name }}">{{ name }}</p>{{ button(url, name) }}{% endblock %}
"""


class Page(HTMLParser):
    """The elements and the texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


@pytest.fixture
def invited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A letter that puts a name everywhere."""
    folder = tmp_path / "mail"
    shutil.copytree(FOLDER, folder)
    (folder / "a-test.txt").write_text(INVITED_TXT)
    (folder / "a-test.html").write_text(INVITED_HTML)
    monkeypatch.setattr(mail, "TEMPLATES", tmp_path)
    mail._templates.cache_clear()
    yield
    mail._templates.cache_clear()


def write(name: str, url: str = "https://example.com/x") -> Mail:
    return mail.written("ada@example.com", "a-test", NOON, name=name, url=url)


@pytest.mark.usefixtures("invited")
def test_a_name_can_t_pass_for_a_part_of_the_mail() -> None:
    letter = write(HOSTILE)
    assert letter.subject == f"{ON_ONE_LINE} invites you"
    lines = (letter.text or "").splitlines()
    assert lines[:3] == [f"{ON_ONE_LINE} invites you:", "", "https://example.com/x"]
    assert lines[-3:] == [f"{ON_ONE_LINE} knows your address.", "", "Lightwell"]

    page, plain = Page(letter.html or ""), Page(write("Eve").html or "")
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert [set(attrs) for _, attrs in page.elements] == [set(attrs) for _, attrs in plain.elements]
    assert page.texts.count(ON_ONE_LINE) == 2
    assert ("title", ON_ONE_LINE) in {item for _, attrs in page.elements for item in attrs.items()}


@pytest.mark.usefixtures("invited")
def test_names_have_an_end() -> None:
    letter = write("x" * 10_000)
    assert letter.subject == "x" * (SUBJECT_CHARACTERS - 1) + "…"
    assert "x" * (VALUE_CHARACTERS - 1) + "…" in (letter.text or "")
    assert "x" * VALUE_CHARACTERS not in (letter.html or "")


@pytest.mark.usefixtures("invited")
def test_styles_stand_on_the_elements_and_dark_ones_in_the_head() -> None:
    html = write("Eve").html or ""
    (button,) = [
        attrs for tag, attrs in Page(html).elements if tag == "a" and attrs.get("class") == "button"
    ]
    assert "background-color: #211c17" in str(button["style"])
    assert button["href"] == "https://example.com/x"
    assert "@media (prefers-color-scheme: dark)" in html.partition("</head>")[0]
    assert "http" not in html.replace("https://example.com/x", "")


@pytest.mark.parametrize("letter", LETTERS)
def test_a_letter_has_two_forms_and_says_why_it_comes(letter: str) -> None:
    for suffix, blocks in (("txt", ("subject", "text", "why")), ("html", ("main", "why"))):
        source = (FOLDER / f"{letter}.{suffix}").read_text()
        assert source.startswith(f'{{% extends "mail/layout.{suffix}" %}}\n')
        assert all(f"{{% block {block} %}}" in source for block in blocks)
        assert "|safe" not in source.replace(" ", "")
