"""What staff change at an organization, when two of them do it at once."""

from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from flask import Flask

from app.errors import Conflict
from app.extensions import transaction
from app.models import Actor, ActorKind
from app.services.staff import organization_changes
from tests.clock import NOON
from tests.conftest import Account
from tests.databases import on_both_databases

STAFF = Actor(ActorKind.STAFF, "user_of_staff")
SITE = "https://lightwell.example.com"
LONG_ENOUGH = 0.3
"""Seconds in which a change that waits for nobody would be done."""


@on_both_databases
@pytest.mark.usefixtures("context")
def test_a_change_waits_for_another_and_sees_what_it_did(app: Flask, acme: Account) -> None:
    def suspend() -> None:
        with app.app_context(), transaction(acme.org_id) as session:
            organization_changes.suspend(session, "Meanwhile", STAFF, SITE, NOON)

    with ThreadPoolExecutor(1) as threads:
        with transaction(acme.org_id) as session:
            organization_changes.locked(session)
            meanwhile = threads.submit(suspend)
            wait([meanwhile], LONG_ENOUGH)
            organization_changes.suspend(session, "First", STAFF, SITE, NOON)
        with pytest.raises(Conflict):
            meanwhile.result()
