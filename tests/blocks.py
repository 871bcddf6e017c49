"""Blocks as staff would set them."""

from datetime import datetime
from ipaddress import IPv6Address
from secrets import randbits

from flask import Flask

from app.extensions import transaction
from app.models import Block
from app.services import blocks
from app.web.blocks import NAME
from tests.clock import NOON


def new_network() -> str:
    """A network that no other test has blocked."""
    return f"{IPv6Address((0x20010DB8 << 96) + (randbits(32) << 64))}/64"


def block(app: Flask, value: str, until: datetime | None = None) -> Block:
    """Block a value, as this process knows at once."""
    with app.app_context(), transaction() as session:
        made = blocks.add(session, blocks.read(value), until, "a test", "user_0", NOON)
    app.extensions[NAME].forget()
    return made
