"""Shared code of the endpoints that take a form: files in one field, text in the others."""

import re
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from flask import request
from pydantic import BaseModel

from app.errors import BadRequest, UnsupportedMediaType
from app.web.errors import validated
from app.web.forms import NULL_VALUES
from app.web.media import FORM
from app.web.request import SpooledFile, api_request
from app.web.schema import given

NUMBER = re.compile(r"\[\d*\]$")
"""How clients write that a field has several files: ``files[]``, ``files[0]``."""
MAX_SHOWN_LENGTH = 64
Fields = TypeVar("Fields", bound=BaseModel)


@dataclass(frozen=True)
class Sent(Generic[Fields]):
    """A form: its text, its files in the order sent, and warnings about ignored fields (``field:
    problem``)."""

    fields: Fields
    files: list[SpooledFile]
    warnings: list[str]


def body(field: str, files: dict[str, Any], fields: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI description of a form; ``files`` is the schema of its file field."""
    text = fields.model_json_schema()
    properties, required = {field: files, **text["properties"]}, [field, *text.get("required", [])]
    schema = {"type": "object", "required": required, "properties": properties}
    return {"required": True, "content": {FORM: {"schema": schema}}}


def read(field: str, fields: type[Fields]) -> Sent[Fields]:
    """Read the request's form, with at least one file in ``field``. Unknown text fields are
    ignored.

    Raises UnsupportedMediaType, BadRequest, and TooLarge for a file or a body.
    """
    if request.mimetype != FORM:
        raise UnsupportedMediaType(f"Send a form as '{FORM}', with files in the field '{field}'.")
    if wrong := sorted(request.args.keys() & fields.model_fields.keys()):
        problems = [f"{sent}: send it as a field of the form, not in the URL" for sent in wrong]
        raise BadRequest.of_fields(problems, "Some fields stand in the URL.")
    name = NUMBER.sub("", field)
    files = api_request().spooled_files()
    text = request.form.to_dict()
    known = {sent: value for sent, value in text.items() if sent in fields.model_fields}
    values = validated(fields, given(fields, known))
    in_field = {sent for sent in text if NUMBER.sub("", sent) == name}
    if wrong := sorted(sent for sent in in_field if text[sent] not in NULL_VALUES):
        raise BadRequest(
            "Send images as files, not as text.",
            errors=[f"{sent}: must be a file" for sent in wrong],
        )
    if wrong := sorted({sent for sent, _ in files if NUMBER.sub("", sent) != name}):
        problems = [
            f"{_shown(sent)}: {'must be text' if sent in fields.model_fields else 'unknown field'}"
            for sent in wrong
        ]
        raise BadRequest(f"The form has files in other fields than '{field}'.", errors=problems)
    if not files:
        chosen = any(NUMBER.sub("", sent) == name for sent in api_request().empty_file_fields)
        problem = "no file was chosen" if chosen else "is required"
        raise BadRequest(f"Send an image in the field '{field}'.", errors=[f"{field}: {problem}"])
    unknown = [sent for sent in text if sent not in known and sent not in in_field]
    return Sent(
        values,
        [file for _, file in files],
        [f"{_shown(sent)}: unknown field, ignored" for sent in unknown],
    )


def _shown(field: str) -> str:
    return field[:MAX_SHOWN_LENGTH]
