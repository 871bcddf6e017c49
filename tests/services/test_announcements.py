"""What our staff announce, when two of them do it at once."""

from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from flask import Flask

from app.errors import Conflict
from app.extensions import transaction
from app.models import AnnouncementKind
from app.services import announcements
from app.services.announcements import Wanted
from tests.clock import NOON
from tests.databases import on_both_databases

LONG_ENOUGH = 0.3
"""Seconds in which a change that waits for nobody would be done."""


@on_both_databases
@pytest.mark.usefixtures("context")
def test_an_announcement_is_ended_once(app: Flask) -> None:
    with transaction() as session:
        wanted = Wanted(AnnouncementKind.BANNER, "Something new")
        made = announcements.make(session, wanted, "user_1", NOON)

    def end() -> None:
        with app.app_context(), transaction() as session:
            announcements.end(session, made.id, NOON)

    with ThreadPoolExecutor(1) as threads:
        with transaction() as session:
            announcements.end(session, made.id, NOON)
            meanwhile = threads.submit(end)
            wait([meanwhile], LONG_ENOUGH)
        with pytest.raises(Conflict):
            meanwhile.result()
