"""What the walks over all routes of the console call them with."""

from collections.abc import Callable
from typing import NamedTuple

from flask import Flask

from tests.blocks import block, new_network
from tests.conftest import Account


class Sample(NamedTuple):
    """What the rule's path needs, and what its form needs beside the reason."""

    ids: dict[str, str]
    fields: dict[str, str]


Maker = Callable[[Flask, Account], Sample]


def a_block(app: Flask, _account: Account) -> Sample:
    return Sample({"block_id": block(app, new_network()).id}, {})


def a_network(_app: Flask, _account: Account) -> Sample:
    return Sample({}, {"value": new_network(), "days": "7"})


SAMPLES: dict[str, Maker] = {
    "admin.blocks.add": a_network,
    "admin.blocks.end": a_block,
}
"""Endpoint → how to make what it is about, of an account. A route with ids in its path, or with a
form that asks for more than a reason, is here; its call must change something."""
