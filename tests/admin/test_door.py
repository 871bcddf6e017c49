"""Who is let into the console."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from flask import Flask
from sqlalchemy import update

from app.extensions import transaction
from app.models import Role, User
from app.web.admission import ADMISSION_KEY, Admission
from tests.admin.conftest import StaffMaker
from tests.client import ApiClient, unmarked
from tests.clock import Clock
from tests.conftest import Account, SignIn
from tests.staff import SAME_SITE


def test_staff_are_let_in(staff: ApiClient) -> None:
    page = staff.get("/admin")
    assert page.status_code == 200
    assert '<body class="staff">' in page.text


def test_outsiders_see_what_does_not_exist(
    client: ApiClient, acme: Account, sign_in: SignIn, make_staff: StaffMaker
) -> None:
    """Byte for byte, whatever the method; a password alone makes nobody staff."""
    callers = (client, sign_in(acme, Role.OWNER), make_staff(second_factor=False))
    for caller in callers:
        for method in ("GET", "POST", "DELETE", "OPTIONS", "HEAD"):
            refused, missing = (
                caller.open(path, method=method, headers={**SAME_SITE, "Accept": accept})
                for path in ("/admin", "/admit")
                for accept in ("text/html",)
            )
            assert (refused.status_code, missing.status_code) == (404, 404), method
            assert unmarked(refused).replace(b"/admin", b"") == unmarked(missing).replace(
                b"/admit", b""
            )
            # Not even a header more, such as those about rate limits, or "Allow".
            assert set(refused.headers.keys()) == set(missing.headers.keys()), method


def test_outsiders_see_nothing_before_their_body_is_read_either(
    client: ApiClient, staff: ApiClient
) -> None:
    for path in ("/admin", "/admin/users", "/admin/viewing/end", "/admin/nowhere"):
        asked = {ADMISSION_KEY: Admission()}
        answer = client.put(path, environ_overrides=asked, headers=SAME_SITE)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found"), path
        assert "Allow" not in answer.headers
    answer = staff.put("/admin", environ_overrides={ADMISSION_KEY: Admission()}, headers=SAME_SITE)
    assert answer.status_code == 405


def test_a_session_of_staff_lasts_twelve_hours(staff: ApiClient, clock: Clock) -> None:
    clock.advance(hours=11, minutes=59)
    assert staff.get("/admin").status_code == 200
    clock.advance(minutes=2)
    assert staff.get("/admin").status_code == 404
    assert staff.get("/account").status_code == 303  # elsewhere too


def test_who_is_staff_no_longer_is_out_at_once(app: Flask, staff: ApiClient) -> None:
    with app.app_context(), transaction() as session:
        session.change(update(User).where(User.id == staff.user_id).values(staff_role=None))
    assert staff.get("/admin").status_code == 404


@pytest.mark.parametrize(
    ("address", "status"), [("203.0.113.7", 200), ("::ffff:203.0.113.7", 200), ("203.0.114.1", 404)]
)
def test_the_console_may_be_for_some_networks_only(
    staff: ApiClient, app: Flask, monkeypatch: pytest.MonkeyPatch, address: str, status: int
) -> None:
    container = app.extensions["lightwell"]
    settings = container.settings.model_copy(
        update={"admin_networks": (ip_network("203.0.113.0/24"),)}
    )
    monkeypatch.setitem(app.extensions, "lightwell", replace(container, settings=settings))
    assert staff.get("/admin", environ_base={"REMOTE_ADDR": address}).status_code == status
