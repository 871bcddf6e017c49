"""``/account/security``: authenticator app, recovery codes, passkeys, going without a password."""

import re
from html import unescape

import pyotp
import pytest
from flask import Flask
from sqlalchemy import select, update

from app.extensions import transaction
from app.models import Mail, Passkey, SignIn, StaffRole, User
from app.services.accounts.passkeys import MOST_PASSKEYS
from tests.architecture.test_pages import SAME_SITE
from tests.authenticator import Authenticator
from tests.client import Answer, ApiClient
from tests.clock import Clock
from tests.conftest import Account
from tests.conftest import SignIn as SignInMaker

HOME = "/account/security"


@pytest.fixture
def person(app: Flask, acme: Account, sign_in: SignInMaker) -> ApiClient:
    """The client of a person with a password."""
    client = sign_in(acme)
    with app.app_context(), transaction() as session:
        session.change(update(User).where(User.id == client.user_id).values(password_hash="a hash"))
    return client


def post(client: ApiClient, path: str = "", **form: str) -> Answer:
    return client.post(HOME + path, headers=SAME_SITE, data=form)


def text_of(answer: Answer) -> str:
    return unescape(answer.text)


def enrolment(client: ApiClient) -> tuple[str, str]:
    """What the page for setting up an app holds: its form's token and the secret."""
    page = client.get(f"{HOME}/app").text
    token = re.search('name="enrolment" value="([^"]+)"', page)
    secret = re.search("<code>([A-Z2-7]{32})</code>", page)
    assert token
    assert secret
    assert 'src="data:image/svg+xml' in page
    assert 'href="otpauth://totp/Lightwell:' in page
    return token[1], secret[1]


def turn_on(client: ApiClient, clock: Clock) -> tuple[str, list[str]]:
    """The secret of the new app, and the recovery codes that the answer shows."""
    token, secret = enrolment(client)
    answer = post(client, "/app", enrolment=token, code=pyotp.TOTP(secret).at(clock()))
    assert answer.status_code == 200
    return secret, shown_codes(answer)


def shown_codes(answer: Answer) -> list[str]:
    """The recovery codes of the page, which stand there twice: to read and to copy."""
    return sorted(set(re.findall("(?:[a-z2-7]{4}-){3}[a-z2-7]{4}", answer.text)))


def add_passkey(client: ApiClient, name: str = "Laptop") -> Authenticator:
    device = Authenticator(user_handle=client.user_id.encode())
    options = post(client, "/passkeys/options").text
    answer = post(client, "/passkeys", credential=device.create(options), name=name)
    assert answer.status_code == 303
    return device


def row_of(app: Flask, client: ApiClient) -> User:
    with app.app_context(), transaction() as session:
        return session.get_one(User, client.user_id)


def sessions_of(app: Flask, client: ApiClient) -> list[SignIn]:
    with app.app_context(), transaction() as session:
        own = select(SignIn).where(SignIn.user_id == client.user_id).order_by(SignIn.id)
        return list(session.scalars(own))


def token_of(client: ApiClient) -> str:
    with client.session_transaction() as session:
        return str(session["_user_id"])


def with_token(app: Flask, token: str) -> ApiClient:
    """Another browser with a copy of the cookie."""
    client = app.test_client()
    assert isinstance(client, ApiClient)
    with client.session_transaction() as session:
        session["_user_id"] = token
    return client


def test_the_page_says_what_there_is(person: ApiClient, clock: Clock) -> None:
    page = text_of(person.get(HOME))
    assert "Change password" in page
    assert "Set up an app" in page
    turn_on(person, clock)
    add_passkey(person, "<b>My</b> phone")
    answer = person.get(HOME)
    assert "10 of 10 left" in answer.text
    assert "&lt;b&gt;My&lt;/b&gt; phone" in answer.text
    assert "not used yet" in answer.text


def test_an_app_is_confirmed_by_a_code(app: Flask, person: ApiClient, clock: Clock) -> None:
    token, secret = enrolment(person)
    wrong = post(person, "/app", enrolment=token, code="000000")
    assert wrong.status_code == 400
    assert "The code is wrong" in wrong.text
    assert secret in wrong.text
    assert row_of(app, person).totp_secret is None
    right = post(person, "/app", enrolment=token, code=pyotp.TOTP(secret).at(clock()))
    assert right.status_code == 200
    assert right.headers["Cache-Control"] == "no-store"
    assert row_of(app, person).totp_secret == secret
    again = post(person, "/app", enrolment=token, code=pyotp.TOTP(secret).at(clock()))
    assert again.status_code == 409


def test_the_form_of_an_app_is_one_person_s_and_lasts_ten_minutes(
    app: Flask, person: ApiClient, acme: Account, sign_in: SignInMaker, clock: Clock
) -> None:
    """Nobody can make another person confirm a secret that they know."""
    token, secret = enrolment(person)
    other = sign_in(acme)
    code = pyotp.TOTP(secret).at(clock())
    assert post(other, "/app", enrolment=token, code=code).status_code == 400
    assert post(person, "/app", enrolment=token[:-3], code=code).status_code == 400
    assert post(person, "/app", code=code).status_code == 400
    clock.advance(minutes=9, seconds=50)
    late, _ = enrolment(person)  # keeps the password recent enough
    clock.advance(seconds=20)
    with app.app_context(), transaction() as session:
        shown = update(SignIn).where(SignIn.user_id == person.user_id)
        session.change(shown.values(authenticated_at=clock()))
    code = pyotp.TOTP(secret).at(clock())
    answer = post(person, "/app", enrolment=token, code=code)
    assert answer.status_code == 400
    assert "took too long" in answer.text
    assert late != token
    assert row_of(app, person).totp_secret is None


def test_turning_an_app_on_ends_other_sessions(app: Flask, person: ApiClient, clock: Clock) -> None:
    before = token_of(person)
    turn_on(person, clock)
    assert with_token(app, before).get(HOME).status_code == 303
    assert person.get(HOME).status_code == 200
    (session,) = sessions_of(app, person)
    assert session.second_factor_at is not None


def test_turning_an_app_off(app: Flask, person: ApiClient, clock: Clock) -> None:
    turn_on(person, clock)
    before = token_of(person)
    for _ in range(2):
        answer = post(person, "/app/off")
        assert (answer.status_code, answer.headers["Location"]) == (303, HOME)
    assert "The authenticator app is off." in person.get(HOME).text
    assert row_of(app, person).totp_secret is None
    assert with_token(app, before).get(HOME).status_code == 303
    (session,) = sessions_of(app, person)
    assert session.second_factor_at is None


def test_new_recovery_codes_are_shown_once(person: ApiClient, clock: Clock) -> None:
    assert post(person, "/recovery-codes").status_code == 409
    _, old = turn_on(person, clock)
    answer = post(person, "/recovery-codes")
    assert len(old) == 10
    assert not any(code in answer.text for code in old)
    shown = shown_codes(answer)
    assert len(shown) == 10
    assert shown[0] not in person.get(HOME).text


def test_a_passkey_is_added_renamed_and_removed(
    app: Flask, person: ApiClient, clock: Clock
) -> None:
    before = token_of(person)
    device = add_passkey(person)
    assert "“Laptop” was added" in text_of(person.get(HOME))
    assert with_token(app, before).get(HOME).status_code == 303
    (session,) = sessions_of(app, person)
    assert session.second_factor_at is not None
    path = f"/passkeys/{device.passkey_id}"
    assert post(person, path, name="Old laptop").status_code == 303
    assert "Old laptop" in person.get(HOME).text
    assert post(person, f"{path}/remove").status_code == 303
    assert "Old laptop" not in person.get(HOME).text
    (session,) = sessions_of(app, person)
    assert session.second_factor_at is None
    assert post(person, f"{path}/remove").status_code == 404


def test_a_challenge_is_answered_once_and_in_its_own_browser(
    app: Flask, person: ApiClient, clock: Clock
) -> None:
    token = token_of(person)
    options = post(person, "/passkeys/options").text
    assert post(with_token(app, token), "/passkeys", credential="{}").status_code == 400
    with person.session_transaction() as session:
        cookie = dict(session)
    device = Authenticator()
    form = {"credential": device.create(options), "name": ""}
    assert post(person, "/passkeys", **form).status_code == 303
    with person.session_transaction() as session:
        session["challenge"] = cookie["challenge"]
    answer = post(person, "/passkeys", **form)
    assert answer.status_code == 400
    assert "was sent already" in answer.text


def test_a_challenge_lasts_five_minutes(person: ApiClient, clock: Clock) -> None:
    options = post(person, "/passkeys/options").text
    clock.advance(minutes=4, seconds=55)
    answer = post(person, "/passkeys", credential=Authenticator().create(options))
    assert answer.status_code == 303
    device = Authenticator()
    options = post(person, "/passkeys/options").text
    clock.advance(minutes=5)
    answer = post(person, "/passkeys", credential=device.create(options))
    assert answer.status_code == 400
    assert "took too long" in answer.text


def test_the_host_of_a_request_does_not_choose_whom_a_passkey_is_for(person: ApiClient) -> None:
    answer = person.post(
        f"{HOME}/passkeys/options", headers=SAME_SITE, base_url="http://attacker.example"
    )
    assert answer.status_code == 303  # the cookie is not sent there
    page = person.get(HOME, base_url="http://localhost:8001")
    assert "Passkeys work only at" in page.text
    assert post(person, "/passkeys/options").json["rp"]["id"] == "localhost"


def test_the_password_can_go_while_there_is_a_passkey(app: Flask, person: ApiClient) -> None:
    refused = post(person, "/password/remove")
    assert refused.status_code == 409
    assert "Add a passkey first" in refused.text
    device = add_passkey(person)
    assert post(person, "/password/remove").status_code == 303
    assert row_of(app, person).password_hash is None
    assert "You have no password" in person.get(HOME).text
    last = post(person, f"/passkeys/{device.passkey_id}/remove")
    assert last.status_code == 409
    assert "Set a password first" in last.text
    with app.app_context(), transaction() as session:
        to = select(User.email).where(User.id == person.user_id).scalar_subquery()
        subjects = session.scalars(select(Mail.subject).where(Mail.recipient == to)).all()
    assert set(subjects) == {"The passkey “Laptop” was added", "The password was removed"}


def test_too_many_passkeys_are_refused(app: Flask, person: ApiClient, clock: Clock) -> None:
    with app.app_context(), transaction() as session:
        own = {"user_id": person.user_id, "name": "Key", "public_key": b"", "sign_count": 0}
        for number in range(MOST_PASSKEYS):
            passkey_id = f"{person.user_id}-{number}"
            session.add(Passkey(id=passkey_id, created_at=clock(), **own))
    assert post(person, "/passkeys/options").status_code == 409


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/app"),
        ("POST", "/app"),
        ("POST", "/app/off"),
        ("POST", "/recovery-codes"),
        ("POST", "/passkeys/options"),
        ("POST", "/passkeys"),
        ("POST", "/passkeys/any"),
        ("POST", "/passkeys/any/remove"),
        ("POST", "/password/remove"),
    ],
)
def test_changes_ask_again_who_it_is(
    person: ApiClient, clock: Clock, method: str, path: str
) -> None:
    clock.advance(minutes=10)
    answer = person.open(HOME + path, method=method, headers=SAME_SITE)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/login/again?next=")


def test_staff_without_their_last_factor_are_not_staff(
    app: Flask, acme: Account, sign_in: SignInMaker, clock: Clock
) -> None:
    staff = sign_in(acme, staff_role=StaffRole.ADMIN, second_factor=True)
    turn_on(staff, clock)
    device = add_passkey(staff)
    with app.app_context(), transaction() as session:
        session.change(update(User).where(User.id == staff.user_id).values(password_hash="a hash"))

    def counts() -> bool:
        (row,) = sessions_of(app, staff)
        return row.second_factor_at is not None

    post(staff, "/app/off")
    assert counts()
    post(staff, f"/passkeys/{device.passkey_id}/remove")
    assert not counts()
