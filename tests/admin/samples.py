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


def an_organization(_app: Flask, account: Account) -> Sample:
    return Sample({"org_id": account.org_id}, {})


SAMPLES: dict[str, Maker] = {
    "admin.organization.show": an_organization,
    "admin.organization.show_members": an_organization,
    "admin.organization.show_keys": an_organization,
    "admin.organization.show_usage": an_organization,
    "admin.organization.show_ledger": an_organization,
    "admin.organization.show_requests": an_organization,
    "admin.organization.show_images": an_organization,
    "admin.organization.show_exports": an_organization,
    "admin.organization.show_stripe": an_organization,
    "admin.organization.show_audit": an_organization,
}
"""Endpoint → how to make what it is about, of an account. A route with ids in its path, or with a
form that asks for more than a reason, is here; its call must change something."""
