"""Which versions run here."""

import platform
from functools import cache
from importlib.metadata import version
from typing import cast

from flask_openapi import OpenAPI

from app.web.context import application

LIBRARIES = {"pillow": "pillow", "libvips": "pyvips-binary", "flask": "flask"}
"""Name → the package that has its version. The libraries themselves are loaded elsewhere."""


@cache
def _of_machine() -> dict[str, str]:
    libraries = {name: version(package) for name, package in LIBRARIES.items()}
    return {"python": platform.python_version(), **libraries}


def versions() -> dict[str, str]:
    """Name → version: of the application, Python and libraries."""
    return {"version": _of_application(), **_of_machine()}


def _of_application() -> str:
    info = cast(OpenAPI, application()).info
    return info["version"] if isinstance(info, dict) else info.version
