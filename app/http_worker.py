"""The gunicorn worker: gthread, except that what is no HTTP request is refused with our error body, not with HTML."""

import socket
from datetime import UTC, datetime
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from app.errors import AppError, BadRequest
from app.models import new_id
from app.web.errors import ErrorBody


class HttpWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        super().handle_error(req, JsonErrors(client), addr, exc)


class JsonErrors:
    """Stands in for a client's socket while gunicorn writes an error page, and sends our body with its status."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def sendall(self, page: bytes) -> None:
        status_line = page.partition(b"\r\n")[0]
        self._client.sendall(status_line + b"\r\n" + self._answer(int(status_line.split(b" ")[1])))

    def _answer(self, status: int) -> bytes:
        kind: type[AppError] = BadRequest if status < 500 else AppError
        request_id = new_id("req", datetime.now(UTC))
        body = ErrorBody(
            error="The request line or the headers are malformed, or longer than the server takes.",
            code=kind.code,
            status=status,
            type=f"/docs/errors/{kind.code}",
            errors=None,
            requestId=request_id,
        )
        content = body.model_dump_json(exclude_none=True).encode()
        headers = (
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
            f"X-Request-Id: {request_id}",
            "Connection: close",
        )
        return "\r\n".join([*headers, "", ""]).encode() + content
