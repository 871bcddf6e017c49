"""Codes of an authenticator app, and recovery codes: each good once."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import BadRequest, Conflict
from app.extensions import transaction
from app.models import RecoveryCode, User
from app.services.accounts import one_time_codes
from tests.clock import NOON, Clock
from tests.databases import on_both_databases
from tests.services.accounts.conftest import SITE, race, sessions, signed_in, subjects

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code_at(moment: object, secret: str = SECRET) -> str:
    return pyotp.TOTP(secret).at(moment)  # type: ignore[arg-type]


def turn_on(user: User, clock: Clock, secret: str = SECRET) -> list[str]:
    now = clock()
    with transaction() as session:
        code = code_at(now, secret)
        return one_time_codes.turn_on(session, user.id, secret, code, SITE, now)


def check(user: User, code: str, clock: Clock) -> None:
    with transaction() as session:
        one_time_codes.check(session, user.id, code, SITE, clock())


def left(user: User) -> int:
    with transaction() as session:
        return one_time_codes.recovery_codes_left(session, user.id)


def test_the_qr_code_names_the_product_and_the_person() -> None:
    secret = one_time_codes.new_secret()
    uri = urlsplit(one_time_codes.provisioning_uri(secret, "ada+a@example.com"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert uri.path == "/Lightwell:ada%2Ba%40example.com"
    assert parse_qs(uri.query) == {"secret": [secret], "issuer": ["Lightwell"]}
    assert one_time_codes.new_secret() != secret


@on_both_databases
def test_a_code_is_good_once(app: Flask, user: User, clock: Clock) -> None:
    turn_on(user, clock)
    with pytest.raises(BadRequest, match="used already"):
        check(user, code_at(NOON), clock)
    clock.advance(seconds=30)
    later = code_at(NOON + timedelta(seconds=30))
    check(user, f" {later[:3]} {later[3:]} ", clock)
    with pytest.raises(BadRequest, match="used already"):
        check(user, later, clock)


@pytest.mark.parametrize(("seconds", "taken"), [(-60, False), (-30, True), (30, True), (60, False)])
def test_clocks_may_differ_by_one_step(
    app: Flask, user: User, clock: Clock, seconds: int, taken: bool
) -> None:
    turn_on(user, clock)
    clock.advance(minutes=5)
    code = code_at(NOON + timedelta(minutes=5, seconds=seconds))
    if taken:
        check(user, code, clock)
    else:
        with pytest.raises(BadRequest):
            check(user, code, clock)


def test_an_older_code_is_not_good_after_a_newer_one(app: Flask, user: User, clock: Clock) -> None:
    turn_on(user, clock)
    clock.advance(minutes=5)
    check(user, code_at(NOON + timedelta(minutes=5, seconds=30)), clock)
    with pytest.raises(BadRequest):
        check(user, code_at(NOON + timedelta(minutes=5)), clock)


@pytest.mark.parametrize("code", ["", "12345", "1234567", "١٢٣٤٥٦", "abcdef", "0" * 5000, "''"])
def test_other_texts_are_no_codes(app: Flask, user: User, clock: Clock, code: str) -> None:
    with pytest.raises(BadRequest), transaction() as session:
        one_time_codes.turn_on(session, user.id, SECRET, code, SITE, clock())
    turn_on(user, clock)
    with pytest.raises(BadRequest):
        check(user, code, clock)


def test_a_person_without_an_app_has_no_codes(app: Flask, user: User, clock: Clock) -> None:
    for nobody in (user, User(id="user_gone")):
        with pytest.raises(BadRequest):
            check(nobody, code_at(NOON), clock)


def test_turning_on_ends_the_sessions_without_it(app: Flask, user: User, clock: Clock) -> None:
    signed_in(user, clock)
    turn_on(user, clock)
    assert sessions(user, clock) == 0


@on_both_databases
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_of_parallel_uses_of_a_code_one_succeeds(
    app: Flask, user: User, clock: Clock, kind: str
) -> None:
    codes = turn_on(user, clock)
    clock.advance(minutes=5)
    code = codes[0] if kind == "recovery" else code_at(NOON + timedelta(minutes=5))
    assert sorted(race(app, *[lambda: check(user, code, clock)] * 4)) == [False, False, False, True]


def test_recovery_codes_are_used_up(app: Flask, user: User, clock: Clock) -> None:
    codes = turn_on(user, clock)
    assert len(set(codes)) == left(user) == 10
    assert all(re.fullmatch("[a-z2-7]{4}(-[a-z2-7]{4}){3}", code) for code in codes)
    check(user, codes[3].upper().replace("-", " "), clock)
    assert left(user) == 9
    assert subjects(user.email)[-1] == "A recovery code was used, 9 left"
    with pytest.raises(BadRequest):
        check(user, codes[3], clock)
    check(user, codes[4], clock)


def test_recovery_codes_are_stored_as_digests(app: Flask, user: User, clock: Clock) -> None:
    codes = turn_on(user, clock)
    with transaction() as session:
        stored = session.scalars(
            select(RecoveryCode.digest).where(RecoveryCode.user_id == user.id)
        ).all()
    assert not {code.replace("-", "") for code in codes} & set(stored)
    assert {len(digest) for digest in stored} == {64}


def test_a_recovery_code_is_of_one_person(
    app: Flask, user: User, other_user: User, clock: Clock
) -> None:
    codes = turn_on(user, clock)
    turn_on(other_user, clock)
    with pytest.raises(BadRequest):
        check(other_user, codes[0], clock)
    assert left(user) == 10


@on_both_databases
def test_new_recovery_codes_replace_the_old(app: Flask, user: User, clock: Clock) -> None:
    old = turn_on(user, clock)

    def renew() -> None:
        with transaction() as session:
            one_time_codes.new_recovery_codes(session, user.id, SITE, clock())

    assert all(race(app, *[renew] * 4))
    assert left(user) == 10
    with pytest.raises(BadRequest):
        check(user, old[0], clock)
    assert subjects(user.email)[-1] == "New recovery codes were made"


def test_turning_off_takes_the_recovery_codes_too(app: Flask, user: User, clock: Clock) -> None:
    codes = turn_on(user, clock)
    signed_in(user, clock)
    for _ in range(2):  # as a retry would
        with transaction() as session:
            one_time_codes.turn_off(session, user.id, SITE, clock())
    assert left(user) == sessions(user, clock) == 0
    clock.advance(minutes=5)
    for code in (codes[0], code_at(NOON + timedelta(minutes=5))):
        with pytest.raises(BadRequest):
            check(user, code, clock)
    assert subjects(user.email) == [
        "An authenticator app was turned on",
        "The authenticator app was turned off",
    ]
    with pytest.raises(Conflict, match="Turn one on first"), transaction() as session:
        one_time_codes.new_recovery_codes(session, user.id, SITE, clock())


def test_a_second_app_needs_the_first_to_go(app: Flask, user: User, clock: Clock) -> None:
    turn_on(user, clock)
    clock.advance(minutes=5)
    with pytest.raises(Conflict, match="on already"):
        turn_on(user, clock, one_time_codes.new_secret())
    check(user, code_at(NOON + timedelta(minutes=5)), clock)
