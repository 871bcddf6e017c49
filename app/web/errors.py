"""Renders every error in one format per surface, whatever raised it."""

import sqlite3
from typing import Any, TypeVar

import structlog
from flask import Flask, Response, g, jsonify, request
from flask_limiter import RateLimitExceeded
from gunicorn.http.errors import ParseException
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.exceptions import RedisError
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import ClientDisconnected, HTTPException

from app.errors import (
    AppError,
    BadRequest,
    Conflict,
    DependencyDown,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    TooLarge,
    UnsupportedMediaType,
)
from app.web import abuse_counts, error_counts, sessions
from app.web.described import Described
from app.web.pages import page
from app.web.request import api_request, wants_json

log = structlog.get_logger()
Model = TypeVar("Model", bound=BaseModel)

RACES = frozenset({
    sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
})  # fmt: skip
"""SQLite's codes for violations of unique and foreign keys."""
FROM_STATUS: dict[int, tuple[type[AppError], str]] = {
    404: (NotFound, "There is nothing at {method} {path}."),
    405: (MethodNotAllowed, "{path} does not take {method}."),
    413: (
        TooLarge,
        "The request has more bytes, or more form fields, than the server or the plan allows.",
    ),
    415: (UnsupportedMediaType, "{path} does not take this Content-Type."),
}


class ErrorBody(Described):
    """The body of every error."""

    model_config = ConfigDict(title="Error")

    error: str = Field(
        description="What is wrong, as a sentence to act on.",
        examples=["width: must be at least 1"],
    )
    code: str = Field(description="The kind of error; stable.", examples=["bad_request"])
    status: int = Field(description="The HTTP status, repeated.", examples=[400])
    type: str = Field(
        description="A page about this kind of error.", json_schema_extra={"format": "uri"}
    )
    errors: list[str] | None = Field(
        None, description="Where several things are wrong: `field: problem`."
    )
    requestId: str = Field(description="Names this request in our logs; also in `X-Request-Id`.")
    message: str = Field(
        default_factory=lambda body: body["error"], description="The same as `error`."
    )


def init_app(app: Flask) -> None:
    app.register_error_handler(AppError, render)
    app.register_error_handler(RateLimitExceeded, _rate_limited)
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(ClientDisconnected, _broken_body)
    app.register_error_handler(ParseException, _broken_body)
    app.register_error_handler(RedisError, _dependency_down)
    app.register_error_handler(OperationalError, _dependency_down)
    app.register_error_handler(IntegrityError, _changed_meanwhile)
    app.register_error_handler(DataError, _unfit_text)
    app.register_error_handler(PoolTimeoutError, _dependency_down)
    app.register_error_handler(Exception, _defect)


def render(error: AppError) -> Response:
    error_counts.count(error)
    abuse_counts.count_refusal(error)
    g.error_code = error.code
    response = as_page(error) if _wants_page() else as_json(error)
    response.status_code = error.status
    response.headers.update(error.headers)
    return response


def as_json(error: AppError) -> Response:
    body = ErrorBody(
        error=error.message,
        code=error.code,
        status=error.status,
        type=f"{request.host_url}docs/errors/{error.code}",
        errors=error.errors or None,
        requestId=api_request().id,
    )
    return jsonify(body.model_dump(exclude_none=True))


def as_page(error: AppError) -> Response:
    if error.status < 500:
        sessions.signed_in_person()  # the navigation asks for it; after a defect it might fail too
    return page("site/error.html", error=error, request_id=api_request().id)


PAGES = frozenset({"dashboard"})
"""Blueprints that answer people only, and the scripts of their pages, which accept nothing but
JSON."""
MIXED = frozenset({"admin", "docs", "mailbox", "static_files", ""})
"""Blueprints that answer browsers with pages, and programs with JSON; also no blueprint."""
PEOPLE_S_PATHS = ("/account", "/dashboard")
"""Where nothing but pages is, for paths that match no view."""
API_PATHS = (
    "/auth", "/compress", "/usage", "/billing", "/v1", "/api", "/storage", "/published",
    "/webhooks", "/openapi.json", "/healthz", "/readyz", "/metrics",
)  # fmt: skip
"""Where no page is, for paths that match no view."""


def _wants_page() -> bool:
    surface = (request.blueprint or "").partition(".")[0]
    if surface in PAGES or (not surface and _is_below(PEOPLE_S_PATHS)):
        return not wants_json()
    if surface not in MIXED or (not surface and _is_below(API_PATHS)):
        return False
    return "text/html" in request.accept_mimetypes.values()


def _is_below(prefixes: tuple[str, ...]) -> bool:
    return f"{request.path}/".startswith(tuple(f"{prefix}/" for prefix in prefixes))


def validated(model: type[Model], values: object) -> Model:
    """Return what was sent as ``model``. Raises BadRequest, which names each field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid_request(error) from None


def invalid_request(error: ValidationError) -> Any:
    """flask-openapi's callback for a body, query or form that does not fit its model."""
    problems = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {_sentence(problem)}"
        for problem in error.errors(include_url=False, include_context=False)
    ]
    raise BadRequest.of_fields(problems, "Several fields are not valid.")


def _sentence(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown field"
    if problem["type"] == "missing":
        return "is required"
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return message[0].lower() + message[1:]


def _http_exception(error: HTTPException) -> Response:
    kind, template = FROM_STATUS.get(error.code or 500, (BadRequest, ""))
    if error.code is not None and error.code >= 500:
        return _defect(error)
    message = (
        template.format(method=request.method, path=request.path)
        if template
        else str(error.description)
    )
    refusal = kind(message)
    if allowed := getattr(error, "valid_methods", None):
        refusal.headers["Allow"] = ", ".join(sorted(allowed))
    return render(refusal)


def _broken_body(_error: Exception) -> Response:
    """The client disconnected or sent malformed HTTP, which is noticed while a view reads the
    body."""
    return render(
        BadRequest("The request's body ended before it was complete, or its chunks are malformed.")
    )


def _rate_limited(error: RateLimitExceeded) -> Response:
    return render(
        RateLimited(
            f"Too many requests: the limit is {error.description}. Wait and repeat the request."
        )
    )


def _changed_meanwhile(error: IntegrityError) -> Response:
    """Two concurrent requests conflicted, such as moving an asset into a collection that is being
    deleted.

    Any other integrity error, such as a negative number, cannot come from a concurrent request and
    is a defect.
    """
    cause = error.orig
    if (
        not isinstance(cause, UniqueViolation | ForeignKeyViolation)
        and _sqlite_code(cause) not in RACES
    ):
        return _defect(error)
    log.warning("conflict", exc_info=error)
    return render(
        Conflict(
            "Another request changed the same thing at the same moment. Look again, then repeat it."
        )
    )


def _unfit_text(error: DataError) -> Response:
    """PostgreSQL has no NUL in texts. People don't type one; whoever sends it gets no defect."""
    if "NUL" not in str(error.orig):
        return _defect(error)
    return render(BadRequest("The request holds a NUL character. Send it without."))


def _sqlite_code(cause: BaseException | None) -> int | None:
    return cause.sqlite_errorcode if isinstance(cause, sqlite3.IntegrityError) else None


def _dependency_down(error: Exception) -> Response:
    log.error("dependency.down", exc_info=error)
    return render(
        DependencyDown("A part of the server does not answer just now. Repeat the request shortly.")
    )


def _defect(error: Exception) -> Response:
    log.error("defect", exc_info=error)
    return render(
        AppError("Something broke on our side. Retry, and tell us the request id if it stays.")
    )
