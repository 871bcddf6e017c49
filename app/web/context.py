"""What the factory hands to the surfaces, and what a request knows about itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from flask import current_app, g
from redis import Redis

from app.adapters.fetch import Fetcher
from app.adapters.painter import Painter
from app.adapters.storage import Storage
from app.config import Settings
from app.errors import NotConfigured
from app.imaging import ImagingPool
from app.services.principal import Principal
from app.services.provider import Provider
from app.services.workshop import Workshop
from app.web.gate import Gate


@dataclass(frozen=True)
class Toolbox:
    """The long-lived parts of one application.

    ``background`` works on what takes a neural network and its memory. Whoever uses either pool has
    a place: at ``gate`` for work on images, at ``outbound`` where other servers are waited for, at
    ``streams`` where a reader is: slow ones must not keep our own work out.
    """

    settings: Settings
    clock: Callable[[], datetime]
    storage: Storage
    redis: Redis
    imaging: ImagingPool
    background: ImagingPool
    fetcher: Fetcher
    painter: Painter | None
    provider: Provider | None
    gate: Gate
    outbound: Gate
    streams: Gate

    def close(self) -> None:
        """End all child processes."""
        self.imaging.close()
        self.background.close()

    @property
    def workshop(self) -> Workshop:
        return Workshop(self.storage, self.imaging, self.clock, self.settings.spool_dir)


def toolbox() -> Toolbox:
    return cast(Toolbox, current_app.extensions["lightwell"])


@contextmanager
def at_work(gate: Gate, pool: ImagingPool | None = None) -> Iterator[Workshop]:
    """A place among what ``gate`` admits, for the length of the block, and the workshop: the only
    way to it for a view.

    ``pool`` where it isn't the usual one. Raises Overloaded where no place becomes free in time; so
    does the work that waits for its turn when the patience that is left is over.
    """
    shop = toolbox().workshop
    with gate.admitted(principal().org_id) as patience:
        yield replace(shop, imaging=pool or shop.imaging, patience=patience)


def needed_provider() -> Provider:
    """Who takes the money. Raises NotConfigured where there is nobody."""
    if provider := toolbox().provider:
        return provider
    raise NotConfigured(
        "Payments are not configured on this server. Ask its operator to change the plan."
    )


def now() -> datetime:
    """The moment, in UTC, as the application's clock tells it."""
    return toolbox().clock()


def principal() -> Principal:
    """Who is asking; only for views that require somebody."""
    return cast(Principal, g.principal)
