"""Refuses requests from blocked networks, before anything else is done for them.

Every process reads the blocks from the database every few seconds and answers from memory in
between (docs/decisions/048). Where the database does not answer, what was read last goes on.
"""

from datetime import datetime, timedelta
from threading import Lock
from typing import cast

import structlog
from flask import Flask, current_app, request
from sqlalchemy.exc import SQLAlchemyError

from app.errors import Blocked
from app.extensions import transaction
from app.services import blocks
from app.services.blocks import Address, BlockedNetworks
from app.web.addresses import remote_ip
from app.web.context import now

log = structlog.get_logger()
NAME = "lightwell.blocks"
READ_EVERY = timedelta(seconds=5)
OPEN = frozenset({"admin", "health", "monitoring", "published", "static_files", "webhooks"})
"""Surfaces that serve blocked networks too: staff must be able to end a block, monitors and the
payment provider have addresses that nobody should block by mistake, published images belong to
customers whose readers did nothing, and pages that say no need their style sheet."""


class Blocks:
    """The blocked networks as this process knows them."""

    def __init__(self) -> None:
        self._networks = BlockedNetworks([])
        self._read_at: datetime | None = None
        self._lock = Lock()

    def hold(self, address: Address) -> bool:
        """Whether requests from this address are refused now."""
        moment = now()
        # The first request waits for what it must know; later ones go on with what is known.
        if self._is_old(moment) and self._lock.acquire(blocking=self._read_at is None):
            try:
                if self._is_old(moment):
                    self._read(moment)
            finally:
                self._lock.release()
        return self._networks.hold(address, moment)

    def forget(self) -> None:
        """Read them anew for the next request: this process has just changed them."""
        self._read_at = None

    def _is_old(self, moment: datetime) -> bool:
        return self._read_at is None or abs(moment - self._read_at) >= READ_EVERY

    def _read(self, moment: datetime) -> None:
        self._read_at = moment  # also after a failure, so that few requests wait for it
        try:
            with transaction() as session:
                self._networks = blocks.networks(session, moment)
        except SQLAlchemyError as error:
            log.warning("blocks.unread", error=type(error).__name__)


def init_app(app: Flask) -> None:
    app.extensions[NAME] = Blocks()


def known() -> Blocks:
    return cast(Blocks, current_app.extensions[NAME])


def check() -> None:
    """Raises Blocked."""
    surface = (request.blueprint or "").partition(".")[0]
    if surface in OPEN or f"{request.path}/".startswith("/admin/"):
        return
    address = remote_ip()
    if address is not None and known().hold(address):
        raise Blocked("Requests from your network are refused, because it was misused.")
