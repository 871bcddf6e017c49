"""Checks the Content-Type and Content-Encoding of request bodies against the API's OpenAPI
description."""

import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import current_app, request
from flask_openapi import OpenAPI

from app.errors import UnsupportedMediaType

FORM = "multipart/form-data"
JSON = "application/json"
IDENTITY = "identity"
MOST_SHOWN = 40
View = TypeVar("View", bound=Callable[..., Any])


def takes_files(view: View) -> View:
    """Mark a page's view, which no description names: it takes a form with files."""
    view.takes_files = True  # type: ignore[attr-defined]  # read by taken()
    return view


def taken() -> frozenset[str]:
    """Return the Content-Types that the matched view accepts; none if it is not described or takes
    no body."""
    if request.url_rule is None:
        return frozenset()
    if getattr(current_app.view_functions[request.endpoint or ""], "takes_files", False):
        return frozenset({FORM}) if request.method == "POST" else frozenset()
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", request.url_rule.rule)
    paths = cast(OpenAPI, current_app).api_doc["paths"]
    operation = paths.get(path, {}).get(request.method.lower(), {})
    return frozenset(operation.get("requestBody", {}).get("content", ()))


def check() -> None:
    """Refuse a body of another type, or one that is compressed, before it is read. Raises
    UnsupportedMediaType."""
    wanted = taken()
    if not wanted or not _has_body():
        return
    if (encoding := request.headers.get("Content-Encoding", IDENTITY)).strip().lower() != IDENTITY:
        raise UnsupportedMediaType(
            f"The body is encoded as '{encoding[:MOST_SHOWN]}'. Send it as it is, without "
            "Content-Encoding.",
            headers={"Accept-Encoding": IDENTITY},  # RFC 9110 §12.5.3
        )
    if request.mimetype in wanted or (JSON in wanted and request.is_json):
        return
    if JSON in wanted:
        raise UnsupportedMediaType(f"Send the body as JSON, with 'Content-Type: {JSON}'.")
    raise UnsupportedMediaType(
        f"Send the body as '{FORM}', as {request.host_url}docs describes it."
    )


def _has_body() -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers
