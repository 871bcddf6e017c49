"""A person at the fake Stripe's pages: reads them, and presses the buttons that are there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


@dataclass
class Form:
    """``fields`` are those that a browser would send if nothing was chosen anew; ``buttons`` by
    what they say."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """What can be done on a page: its links by text, its forms, and what it says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self.forms: list[Form] = []
        self.words: list[str] = []
        self._inside: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self.forms.append(Form(values.get("action") or "", values.get("method") or "get"))
        if tag == "input" and (values.get("type") != "radio" or "checked" in values):
            self.forms[-1].fields.setdefault(values["name"] or "", []).append(values["value"] or "")
        if tag in ("a", "button"):
            self._inside.append((tag, values))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("a", "button"):
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        words = " ".join(data.split())
        self.words += [words] if words else []
        if self._inside and words:
            tag, values = self._inside[-1]
            if tag == "a":
                self.links[words] = values["href"] or ""
            else:
                self.forms[-1].buttons.append(words)


class PageDriver:
    """Follows redirects within the fake Stripe; one that leads elsewhere stays ``answer`` with its
    ``location``."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.answer: TestResponse
        self.page: Page

    def visit(self, address: str) -> "PageDriver":
        return self._arrive(self.client.get(address, base_url="http://stripe.test"))

    def follow(self, link: str) -> "PageDriver":
        return self.visit(self.page.links[link])

    def press(self, button: str, **chosen: str) -> "PageDriver":
        """Press the first button that says so, with the form's fields as they stand, or as
        ``chosen``."""
        form = next(form for form in self.page.forms if button in form.buttons)
        return self.send(form, form.fields | {name: [value] for name, value in chosen.items()})

    def send(self, form: Form, fields: Mapping[str, list[str]]) -> "PageDriver":
        target = form.action or self.answer.request.path
        send = self.client.post if form.method == "post" else self.client.get
        values = {"data" if form.method == "post" else "query_string": dict(fields)}
        return self._arrive(send(target, base_url="http://stripe.test", **values))

    def can(self, button: str) -> bool:
        return any(button in form.buttons for form in self.page.forms)

    def _arrive(self, answer: TestResponse) -> "PageDriver":
        self.answer, self.page = answer, Page(answer.text)
        location = answer.headers.get("Location", "")
        return self.visit(location) if location.startswith(("/", "http://stripe.test/")) else self
