"""The ASGI layer between gunicorn's connections and the WSGI application. It reads whole requests
and sends answers as fast as clients read them.

A request gets a thread only when all of it has arrived, and only while there is something to
compute (docs/decisions/017). The application does not depend on this package: any WSGI server can
run it.
"""

from flask import Flask

from app.server.asgi import AsgiApplication
from app.server.spool import Spool
from app.server.thread_pools import ThreadPools
from app.services.accounts.principal import MEGABYTE


def asgi_application(app: Flask) -> AsgiApplication:
    """Wrap ``app`` in an ASGI application, as its settings say."""
    settings = app.extensions["lightwell"].settings
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    return AsgiApplication(
        app,
        thread_pools=ThreadPools(app.url_map, settings.web_threads),
        spool=Spool(settings.spool_dir, settings.spool_mb * MEGABYTE),
        timeout_seconds=settings.client_timeout_seconds,
    )
