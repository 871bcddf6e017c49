"""The parts that the factory passes to the surfaces, and the context of the current request."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import cast

from flask import Flask, current_app, g
from flask.globals import app_ctx
from redis import Redis

from app.adapters.fetching.fetcher import Fetcher
from app.adapters.mail import Mailer
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

    ``background`` runs the neural network that removes backgrounds, which needs more memory. A
    limiter admits each use of a pool: ``image_work`` for work on images, ``outbound_calls`` for
    calls to other servers, ``zip_streams`` for streamed ZIPs. They are separate so that slow
    readers do not block other work.
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
    mailer: Mailer | None
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


def application() -> Flask:
    """The application itself, for other threads."""
    return app_ctx.app


def container() -> Container:
    return cast(Container, current_app.extensions["lightwell"])


@contextmanager
def processing(
    limiter: ConcurrencyLimiter, pool: ImagingPool | None = None, *, group: str | None = None
) -> Iterator[ProcessingContext]:
    """Hold a place at ``limiter`` for the length of the block and yield the processing context.
    Views get the context only here.

    ``pool`` replaces the default imaging pool, ``group`` the caller's organization. Raises
    Overloaded if no place becomes free in time; work in the block raises it if its turn does not
    come within the remaining wait.
    """
    context = container().processing_context
    with limiter.admitted(group or principal().org_id) as max_wait:
        yield replace(context, imaging=pool or context.imaging, max_wait=max_wait)


def require_provider() -> Provider:
    """Return the payment provider. Raises NotConfigured if there is none."""
    if provider := container().provider:
        return provider
    raise NotConfigured(
        "Payments are not configured on this server. Ask its operator to change the plan."
    )


def now() -> datetime:
    """Return the current time in UTC, by the application's clock."""
    return container().clock()


def principal() -> Principal:
    """Return the authenticated caller; only for views whose requirement identifies one."""
    return cast(Principal, g.principal)


def workspace_transaction() -> AbstractContextManager[TenantSession]:
    """Open a transaction in the caller's workspace."""
    return transaction(*g.principal.partition)
