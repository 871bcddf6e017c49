"""What the factory hands to the surfaces, and what a request knows about itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import cast

from flask import current_app, g
from redis import Redis

from app.adapters.fetching.fetcher import Fetcher
from app.adapters.painter import Painter
from app.adapters.storage.interface import Storage
from app.config import Settings
from app.errors import NotConfigured
from app.extensions import transaction
from app.imaging import ImagingPool
from app.services.accounts.principal import Principal
from app.services.billing.provider import Provider
from app.services.processing_context import ProcessingContext
from app.tenancy import TenantSession
from app.web.concurrency import ConcurrencyLimiter


@dataclass(frozen=True)
class Container:
    """The long-lived parts of one application.

    ``background`` works on what takes a neural network and its memory. Whoever uses either pool is
    admitted by a limiter: ``image_work`` for work on images, ``outbound_calls`` for waiting for
    other servers, ``zip_streams`` for waiting for a reader. Slow readers must not keep our own work
    out.
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
    image_work: ConcurrencyLimiter
    outbound_calls: ConcurrencyLimiter
    zip_streams: ConcurrencyLimiter

    def close(self) -> None:
        """End all child processes."""
        self.imaging.close()
        self.background.close()

    @cached_property
    def processing_context(self) -> ProcessingContext:
        return ProcessingContext(self.storage, self.imaging, self.clock, self.settings.spool_dir)


def container() -> Container:
    return cast(Container, current_app.extensions["lightwell"])


@contextmanager
def processing(
    limiter: ConcurrencyLimiter, pool: ImagingPool | None = None
) -> Iterator[ProcessingContext]:
    """A place at ``limiter`` for the length of the block, and the processing context with it. A
    view gets the context in no other way.

    ``pool`` where it isn't the usual one. Raises Overloaded where no place becomes free in time; so
    does the work that waits for its turn when the patience that is left is over.
    """
    context = container().processing_context
    with limiter.admitted(principal().org_id) as patience:
        yield replace(context, imaging=pool or context.imaging, patience=patience)


def needed_provider() -> Provider:
    """Who takes the money. Raises NotConfigured where there is nobody."""
    if provider := container().provider:
        return provider
    raise NotConfigured(
        "Payments are not configured on this server. Ask its operator to change the plan."
    )


def now() -> datetime:
    """The moment, in UTC, as the application's clock tells it."""
    return container().clock()


def principal() -> Principal:
    """Who is asking; only for views that require somebody."""
    return cast(Principal, g.principal)


def workspace_transaction() -> AbstractContextManager[TenantSession]:
    """A transaction in the workspace of whoever is asking."""
    return transaction(*g.principal.partition)
