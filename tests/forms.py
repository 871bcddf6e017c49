"""Forms as a browser sends them."""

from html import unescape

from tests.client import Answer, ApiClient

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


def post(client: ApiClient, path: str, **fields: str) -> Answer:
    """Send a form from a page of ours."""
    return client.post(path, data=fields, headers=SAME_SITE)


def text_of(answer: Answer) -> str:
    """The page with its entities resolved, for sentences that hold quotation marks."""
    return unescape(answer.text)
