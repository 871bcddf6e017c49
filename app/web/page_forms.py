"""Forms that come back with what is wrong at their fields, and values that a form brings back."""

from datetime import datetime, timedelta

from flask import Response
from itsdangerous import BadData, URLSafeSerializer

from app.errors import AppError
from app.web.context import container, now
from app.web.sessions import person


def problems_of(refusal: AppError | None) -> dict[str, str]:
    """The sentence by the field that it belongs to, as ``errors`` names them; under ``form`` if it
    belongs to none."""
    if refusal is None:
        return {}
    if not refusal.errors:
        return {"form": refusal.message}
    problems = dict(problem.split(": ", 1) for problem in refusal.errors)
    if len(problems) == 1 and refusal.message != refusal.errors[0]:
        return dict.fromkeys(problems, refusal.message)
    return {field: f"{problem[0].upper()}{problem[1:]}." for field, problem in problems.items()}


def refused(response: Response, refusal: AppError | None) -> Response:
    """The page with the refusal's status and headers, if there is one."""
    if refusal:
        response.status_code = refusal.status
        response.headers.update(refusal.headers)
    return response


def sign(purpose: str, valid: timedelta, *values: str) -> str:
    """Values for a hidden field, which only this person's form of this purpose brings back, and
    only for a time. They are signed, not hidden."""
    until = now() + valid
    return _serializer(purpose).dumps([person().user_id, until.isoformat(), *values])


def signed(purpose: str, text: str) -> list[str] | None:
    """The values of a field that ``sign`` made; None for anybody else's, an old one, or any other
    text."""
    try:
        user_id, until, *values = _serializer(purpose).loads(text)
    except BadData:
        return None
    is_valid = user_id == person().user_id and datetime.fromisoformat(until) > now()
    return values if is_valid else None


def _serializer(purpose: str) -> URLSafeSerializer:
    return URLSafeSerializer(container().settings.secret_key, salt=purpose)
