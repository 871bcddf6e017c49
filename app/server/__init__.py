"""Between gunicorn's connections and the application: whole requests in, answers as fast as they
are read.

A thread is spent on a request once all of it is here, and only while there is something to compute
(docs/decisions/017). Nothing in here is part of the application, which any other WSGI server may
call as well.
"""

from flask import Flask

from app.server.front import Front
from app.server.lanes import Lanes
from app.server.spool import Spool
from app.services.accounts.principal import MEGABYTE


def front_of(app: Flask) -> Front:
    """The ASGI application before ``app``, as its settings want it."""
    settings = app.extensions["lightwell"].settings
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    return Front(
        app,
        lanes=Lanes(app.url_map, settings.web_threads),
        spool=Spool(settings.spool_dir, settings.spool_mb * MEGABYTE),
        patience_seconds=settings.client_timeout_seconds,
    )
