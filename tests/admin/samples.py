"""What the walks over all routes of the console call them with."""

from collections.abc import Callable
from typing import NamedTuple

from flask import Flask

from tests.conftest import Account


class Sample(NamedTuple):
    """What the rule's path needs, and what its form needs beside the reason."""

    ids: dict[str, str]
    fields: dict[str, str]


Maker = Callable[[Flask, Account], Sample]


SAMPLES: dict[str, Maker] = {}
"""Endpoint → how to make what it is about, of an account. A route with ids in its path, or with a
form that asks for more than a reason, is here; its call must change something."""
