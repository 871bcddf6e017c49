"""Error responses sent before the application is called, in the application's own format."""

from datetime import UTC, datetime

from app.errors import AppError
from app.models import new_id
from app.web.errors import ErrorBody

Headers = list[tuple[bytes, bytes]]


def error_response(error: AppError, status: int = 0) -> tuple[int, Headers, bytes]:
    """Return status, headers and body of ``error``. ``status`` overrides the status of its
    class."""
    status = status or error.status
    request_id = new_id("req", datetime.now(UTC))
    content = ErrorBody(
        error=error.message,
        code=error.code,
        status=status,
        type=f"/docs/errors/{error.code}",
        errors=None,
        requestId=request_id,
    )
    body = content.model_dump_json(exclude_none=True).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Access-Control-Allow-Origin": "*",  # so that scripts of other sites can read the error
        **error.headers,
    }
    return status, [(name.encode(), value.encode()) for name, value in headers.items()], body
