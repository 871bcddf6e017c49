"""The types of ASGI and WSGI that this package uses."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

CONNECTION = "lightwell.connection"
"""The scope's key for the connection of the request."""


class Connection(Protocol):
    """What can be done to a connection besides sending the answer."""

    def abort(self) -> None:
        """Cut it off, so that the client notices that its answer is incomplete."""

    def end_after_answer(self) -> None:
        """Close the connection after the current answer."""
