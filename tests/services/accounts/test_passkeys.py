"""Passkeys: who may sign in with what a device has signed."""

import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask

from app.errors import BadRequest, Conflict, NotFound
from app.extensions import transaction
from app.models import Passkey, User
from app.services.accounts import passkeys
from app.services.accounts.passkeys import MOST_PASSKEYS, RelyingParty
from tests.authenticator import PRESENT, Authenticator
from tests.clock import Clock
from tests.databases import on_both_databases
from tests.services.accounts.conftest import SITE, race, sessions, signed_in, subjects

PARTY = RelyingParty("localhost", "http://localhost:8000")
CHALLENGE = b"a challenge of the server's making"


def register(
    user: User, clock: Clock, device: Authenticator, name: str = "Laptop", **changes: Any
) -> Passkey:
    with transaction() as session:
        options = passkeys.creation_options(session, user.id, PARTY, CHALLENGE)
        answer = changes.pop("answer", None) or device.create(options)
        challenge = changes.pop("challenge", CHALLENGE)
        return passkeys.add(session, user.id, answer, name, challenge, PARTY, clock())


def authenticate(device: Authenticator, clock: Clock, **changes: Any) -> str:
    answer = changes.pop("answer", None) or device.sign(
        passkeys.request_options(PARTY, changes.pop("asked", CHALLENGE))
    )
    with transaction() as session:
        return passkeys.authenticate(session, answer, CHALLENGE, PARTY, clock(), **changes)


def names(user: User) -> list[str]:
    with transaction() as session:
        return [passkey.name for passkey in passkeys.list_of(session, user.id)]


def test_the_site_says_whom_passkeys_are_for() -> None:
    party = RelyingParty.of("https://lightwell.example.com")
    assert party == RelyingParty("lightwell.example.com", "https://lightwell.example.com")
    assert RelyingParty.of("http://localhost:8010") == RelyingParty(
        "localhost", "http://localhost:8010"
    )


@on_both_databases
def test_a_passkey_tells_whose_it_is(
    app: Flask, user: User, other_user: User, clock: Clock
) -> None:
    mine, theirs = Authenticator(), Authenticator()
    register(user, clock, mine)
    register(other_user, clock, theirs)
    assert authenticate(mine, clock) == user.id
    assert authenticate(theirs, clock) == other_user.id
    assert authenticate(mine, clock, user_id=user.id) == user.id
    with pytest.raises(BadRequest, match="not known"):
        authenticate(theirs, clock, user_id=user.id)


def test_its_use_is_recorded(app: Flask, user: User, clock: Clock) -> None:
    device = Authenticator()
    assert register(user, clock, device).last_used_at is None
    clock.advance(hours=1)
    authenticate(device, clock)
    with transaction() as session:
        last_used_at = session.get_one(Passkey, device.passkey_id).last_used_at
    assert last_used_at is not None
    assert timedelta() <= clock() - last_used_at < timedelta(seconds=1)


def test_the_browser_is_asked_for_a_verified_owner_on_a_new_device(
    app: Flask, user: User, clock: Clock
) -> None:
    device = Authenticator()
    register(user, clock, device)
    with transaction() as session:
        created = json.loads(passkeys.creation_options(session, user.id, PARTY, CHALLENGE))
    requested = json.loads(passkeys.request_options(PARTY, CHALLENGE))
    assert created["authenticatorSelection"]["userVerification"] == "required"
    assert created["authenticatorSelection"]["residentKey"] == "required"
    assert [one["id"] for one in created["excludeCredentials"]] == [device.passkey_id]
    assert created["rp"]["id"] == requested["rpId"] == "localhost"
    assert requested["userVerification"] == "required"


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "attacker.example"},
        {"origin": "https://attacker.example"},
        {"origin": "http://localhost:8001"},
        {"flags": PRESENT},
        {"flags": 0},
    ],
)
def test_other_sites_and_unverified_owners_are_refused(
    app: Flask, user: User, clock: Clock, changes: dict[str, Any]
) -> None:
    with pytest.raises(BadRequest, match="could not be added"):
        register(user, clock, Authenticator(**changes))
    device = Authenticator()
    register(user, clock, device)
    for name, value in changes.items():
        setattr(device, name, value)
    with pytest.raises(BadRequest, match="not known"):
        authenticate(device, clock)


def test_another_challenge_is_refused(app: Flask, user: User, clock: Clock) -> None:
    with pytest.raises(BadRequest):
        register(user, clock, Authenticator(), challenge=b"another")
    device = Authenticator()
    register(user, clock, device)
    with pytest.raises(BadRequest):
        authenticate(device, clock, asked=b"another")


def test_another_key_s_signature_is_refused(app: Flask, user: User, clock: Clock) -> None:
    device = Authenticator()
    register(user, clock, device)
    with pytest.raises(BadRequest):
        authenticate(Authenticator(credential_id=device.credential_id), clock)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        "[]",
        "{",
        "{}",
        '{"id": 1}',
        '{"id": "\\u0000"}',
        '{"id": "\\ud800"}',
        "[" * 5000,
        '{"id": "aa", "rawId": "aa", "type": "public-key", "response": {}}',
        '{"id": "aa", "rawId": "aa", "type": "public-key", "response": {"clientDataJSON": "é", '
        '"attestationObject": "!", "authenticatorData": "_", "signature": "_"}}',
        json.dumps({"id": "a" * 20_000}),
    ],
)
def test_broken_answers_are_refused(app: Flask, user: User, clock: Clock, answer: str) -> None:
    with pytest.raises(BadRequest):
        register(user, clock, Authenticator(), answer=answer or " ")
    with pytest.raises(BadRequest):
        authenticate(Authenticator(), clock, answer=answer or " ")


@on_both_databases
def test_a_counter_that_goes_back_is_refused_and_logged(
    app: Flask, user: User, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    device = Authenticator(count=5)
    register(user, clock, device)
    device.count = 7
    authenticate(device, clock)
    for count in (7, 6, 0):
        device.count = count
        caplog.clear()
        with pytest.raises(BadRequest):
            authenticate(device, clock)
        assert "passkeys.sign_count_went_back" in caplog.text
    device.count = 8
    authenticate(device, clock)


def test_a_credential_is_added_once(app: Flask, user: User, other_user: User, clock: Clock) -> None:
    device = Authenticator()
    register(user, clock, device)
    for person in (user, other_user):
        with pytest.raises(Conflict, match="already"):
            register(person, clock, device)
    assert authenticate(device, clock) == user.id


def test_twenty_passkeys_are_the_most(app: Flask, user: User, clock: Clock) -> None:
    with transaction() as session:
        own = {"user_id": user.id, "name": "Key", "public_key": b"", "sign_count": 0}
        for number in range(MOST_PASSKEYS):
            passkey_id = f"{user.id}-{number}"
            session.add(Passkey(id=passkey_id, created_at=clock(), **own))
    with pytest.raises(Conflict, match="20 passkeys"):
        register(user, clock, Authenticator())


def test_the_person_is_told_and_a_removal_ends_sessions(
    app: Flask, user: User, clock: Clock
) -> None:
    register(user, clock, device := Authenticator())
    signed_in(user, clock)
    with transaction() as session:
        passkeys.remove(session, user.id, device.passkey_id, SITE, clock())
    assert sessions(user, clock) == 0
    assert subjects(user.email) == [
        "The passkey “Laptop” was added",
        "The passkey “Laptop” was removed",
    ]


def test_names_are_shown_safely(app: Flask, user: User, clock: Clock) -> None:
    register(user, clock, device := Authenticator(), name="a\r\nBcc: b\x00\u202e" + "x" * 100)
    assert names(user) == ["aBcc: b" + "x" * 57]
    register(user, clock, Authenticator(), name=" ")
    with transaction() as session:
        passkeys.rename(session, user.id, device.passkey_id, "  My phone ")
    assert names(user) == ["My phone", "unnamed"]


def test_another_person_s_passkeys_are_not_there(
    app: Flask, user: User, other_user: User, clock: Clock
) -> None:
    register(user, clock, device := Authenticator())
    with pytest.raises(NotFound), transaction() as session:
        passkeys.rename(session, other_user.id, device.passkey_id, "Mine")
    with pytest.raises(NotFound), transaction() as session:
        passkeys.remove(session, other_user.id, device.passkey_id, SITE, clock())
    assert names(user) == ["Laptop"]


@on_both_databases
def test_the_last_way_in_stays(app: Flask, user: User, clock: Clock) -> None:
    with pytest.raises(Conflict, match="Add a passkey first"), transaction() as session:
        passkeys.remove_password(session, user.id, SITE, clock())
    register(user, clock, first := Authenticator())
    register(user, clock, second := Authenticator(), name="Phone")
    signed_in(user, clock)
    for _ in range(2):  # as a retry would
        with transaction() as session:
            passkeys.remove_password(session, user.id, SITE, clock())
    assert sessions(user, clock) == 0
    with transaction() as session:
        passkeys.remove(session, user.id, first.passkey_id, SITE, clock())
    with pytest.raises(Conflict, match="Set a password first"), transaction() as session:
        passkeys.remove(session, user.id, second.passkey_id, SITE, clock())
    assert names(user) == ["Phone"]
    assert authenticate(second, clock) == user.id
    assert subjects(user.email).count("The password was removed") == 1


@on_both_databases
def test_parallel_removals_leave_one_way_in(app: Flask, user: User, clock: Clock) -> None:
    devices = [Authenticator(), Authenticator()]
    for device in devices:
        register(user, clock, device)

    def remove(passkey_id: str) -> None:
        with transaction() as session:
            passkeys.remove(session, user.id, passkey_id, SITE, clock())

    def remove_password() -> None:
        with transaction() as session:
            passkeys.remove_password(session, user.id, SITE, clock())

    removals = [partial(remove, device.passkey_id) for device in devices]
    assert sorted(race(app, *removals, remove_password)) == [False, True, True]
