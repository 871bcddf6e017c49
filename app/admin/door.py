"""Who is let in: ``Staff`` in app/web/requirements.py says it for each view, this for the rest."""

from flask import request

from app.errors import NotFound
from app.web.requirements import is_staff_here


def hide() -> None:
    """Below ``/admin``, outsiders get the same 404 for a method that a page does not take as for
    what does not exist. Raises NotFound."""
    is_below = f"{request.path}/".startswith("/admin/")
    if is_below and request.routing_exception is not None and not is_staff_here():
        raise NotFound(f"There is nothing at {request.method} {request.path}.")
