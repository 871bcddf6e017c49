"""The WSGI entry point: ``gunicorn wsgi:app``, and what the flask command finds."""

from app.config import ConfigurationError, Settings
from app.factory import create_app

try:
    app = create_app(Settings.from_env())
except ConfigurationError as error:
    raise SystemExit(str(error)) from None
