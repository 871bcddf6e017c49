"""What ASGI and WSGI are, as far as they are spoken here."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

CONNECTION = "lightwell.connection"
"""The scope's key for the connection that a request came by."""


class Connection(Protocol):
    """What is done to a connection beside answering on it."""

    def abort(self) -> None:
        """Cut it off, so that the client sees that its answer is not whole."""

    def end_after_answer(self) -> None:
        """Take no further request on it."""
