"""``/login/code`` and ``/login/passkey``: the second step, and passkeys instead of passwords."""

from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest
from flask import Flask
from sqlalchemy import select, update

from app.extensions import transaction
from app.models import Mail, StaffRole, User
from app.services.accounts import one_time_codes, sign_ins
from app.services.accounts.sign_ins import Device
from app.web.requirements import Member
from app.web.requirements import User as Person
from tests.architecture.test_pages import SAME_SITE, call, pages, path_of
from tests.authenticator import Authenticator
from tests.client import Answer, ApiClient, client_of
from tests.clock import Clock
from tests.conftest import Account
from tests.conftest import SignIn as SignInMaker
from tests.dashboard.test_security import HOME, add_passkey, sessions_of, turn_on
from tests.databases import on_both_databases
from tests.people import PASSWORD, last_link, mails_to, make_someone, send
from tests.team import email_of

NEXT = "/account/security"


def half_signed_in(app: Flask, user_id: str, clock: Clock) -> ApiClient:
    """A browser in which somebody has shown the password of the user."""
    client = client_of(app)
    client.user_id = user_id
    with client.session_transaction() as session:
        session["half"] = {"user_id": user_id, "at": clock().isoformat(), "next": NEXT}
    return client


def enter(client: ApiClient, code: str, field: str = "code") -> Answer:
    return client.post("/login/code", headers=SAME_SITE, data={field: code})


def use_passkey(client: ApiClient, device: Authenticator, path: str = "/login/passkey") -> Answer:
    options = client.post("/login/passkey/options", headers=SAME_SITE).text
    form = {"credential": device.sign(options), "next": NEXT}
    return client.post(path, headers=SAME_SITE, data=form)


def is_signed_in(client: ApiClient) -> bool:
    return client.get("/account/security").status_code == 200


@pytest.fixture
def person(acme: Account, sign_in: SignInMaker) -> ApiClient:
    return sign_in(acme)


def test_a_code_completes_the_sign_in(app: Flask, person: ApiClient, clock: Clock) -> None:
    secret, _ = turn_on(person, clock)
    clock.advance(minutes=5)
    browser = half_signed_in(app, person.user_id, clock)
    assert "Enter your code" in browser.get("/login/code").text
    wrong = enter(browser, "000000")
    assert wrong.status_code == 400
    assert "The code is wrong" in wrong.text
    assert not is_signed_in(browser)
    right = enter(browser, pyotp.TOTP(secret).at(clock()))
    assert (right.status_code, right.headers["Location"]) == (303, NEXT)
    assert is_signed_in(browser)
    assert sessions_of(app, person)[-1].second_factor_at is not None
    with browser.session_transaction() as session:
        assert "half" not in session


def test_a_recovery_code_does_too_and_the_person_is_told(
    app: Flask, person: ApiClient, clock: Clock
) -> None:
    _, codes = turn_on(person, clock)
    browser = half_signed_in(app, person.user_id, clock)
    wrong = enter(browser, "not a code", "recovery_code")
    assert wrong.status_code == 400
    assert "The recovery code is wrong" in wrong.text
    assert "<details open>" in wrong.text
    assert enter(browser, codes[0], "recovery_code").status_code == 303
    assert is_signed_in(browser)
    assert "9 of 10 left" in browser.get(HOME).text
    with app.app_context(), transaction() as session:
        to = select(User.email).where(User.id == person.user_id).scalar_subquery()
        subjects = session.scalars(select(Mail.subject).where(Mail.recipient == to)).all()
    assert "A recovery code was used, 9 left" in subjects


def test_the_step_is_for_who_has_shown_a_password_within_ten_minutes(
    app: Flask, person: ApiClient, clock: Clock
) -> None:
    secret, _ = turn_on(person, clock)
    browser = half_signed_in(app, person.user_id, clock)
    clock.advance(minutes=10)
    for client in (browser, client_of(app)):
        for answer in (
            client.get("/login/code"),
            enter(client, pyotp.TOTP(secret).at(clock())),
        ):
            assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
        assert not is_signed_in(client)


def test_a_password_that_was_changed_is_half_of_nothing(
    app: Flask, visitor: ApiClient, clock: Clock
) -> None:
    """Whoever knew the old one may still have the page for the code open."""
    secret = one_time_codes.new_secret()
    someone = make_someone(app, clock, totp_secret=secret)
    send(visitor, "/login", email=someone.email, password=PASSWORD)
    assert visitor.get("/login/code").status_code == 200
    send(client_of(app), "/forgot", email=someone.email)
    send(client_of(app), last_link(app, someone.email), password="another lamp in the cellar")
    assert enter(visitor, pyotp.TOTP(secret).at(clock())).headers["Location"] == "/login"
    assert not is_signed_in(visitor)


def test_who_is_half_signed_in_sees_no_page_of_a_person(
    app: Flask, person: ApiClient, acme: Account, clock: Clock
) -> None:
    browser = half_signed_in(app, person.user_id, clock)
    for kind in (Person, Member):
        for rule, method in pages(app, kind):
            answer = call(browser, method, path_of(app, rule, slug=acme.slug))
            assert answer.status_code == 303, f"{method} {rule}"
            assert answer.headers["Location"].startswith("/login?next="), f"{method} {rule}"


def test_wrong_codes_are_slowed_down(app: Flask, person: ApiClient, clock: Clock) -> None:
    """Another browser does not help, nor the right code before its time."""
    secret, codes = turn_on(person, clock)
    clock.advance(minutes=5)
    for _ in range(10):
        assert enter(half_signed_in(app, person.user_id, clock), "000000").status_code == 400
    browser = half_signed_in(app, person.user_id, clock)
    for code in ("000000", codes[0], pyotp.TOTP(secret).at(clock())):
        refused = enter(browser, code)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        assert not is_signed_in(browser)
    clock.advance(seconds=2)
    assert enter(browser, codes[0]).status_code == 303


@on_both_databases
def test_one_code_opens_one_session(
    app: Flask, acme: Account, sign_in: SignInMaker, clock: Clock
) -> None:
    person = sign_in(acme)
    secret, _ = turn_on(person, clock)
    clock.advance(minutes=5)
    code = pyotp.TOTP(secret).at(clock())
    browsers = [half_signed_in(app, person.user_id, clock) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda browser: enter(browser, code).status_code, browsers))
    assert sorted(answers) == [303, 400, 400, 400]
    assert len(sessions_of(app, person)) == 2


def test_another_person_s_codes_are_wrong(
    app: Flask, person: ApiClient, acme: Account, sign_in: SignInMaker, clock: Clock
) -> None:
    turn_on(person, clock)
    secret, codes = turn_on(sign_in(acme), clock)
    clock.advance(minutes=5)
    browser = half_signed_in(app, person.user_id, clock)
    assert enter(browser, pyotp.TOTP(secret).at(clock())).status_code == 400
    assert enter(browser, codes[0], "recovery_code").status_code == 400


def test_a_passkey_alone_signs_in(app: Flask, person: ApiClient, clock: Clock) -> None:
    device = add_passkey(person)
    browser = client_of(app)
    assert "Use a passkey" in browser.get("/login/passkey?next=/account").text
    answer = use_passkey(browser, device)
    assert (answer.status_code, answer.headers["Location"]) == (303, NEXT)
    assert is_signed_in(browser)
    assert sessions_of(app, person)[-1].second_factor_at is not None
    assert "last used" in browser.get(HOME).text


def test_a_passkey_is_good_for_the_second_step_too(
    app: Flask, person: ApiClient, clock: Clock
) -> None:
    turn_on(person, clock)
    device = add_passkey(person)
    browser = half_signed_in(app, person.user_id, clock)
    assert use_passkey(browser, device).status_code == 303
    assert is_signed_in(browser)


def test_an_unknown_passkey_signs_nobody_in(app: Flask, person: ApiClient) -> None:
    device = add_passkey(person)
    browser = client_of(app)
    for stranger in (
        Authenticator(),
        Authenticator(credential_id=device.credential_id),
        Authenticator(
            credential_id=device.credential_id, key=device.key, origin="http://a.example"
        ),
    ):
        answer = use_passkey(browser, stranger)
        assert answer.status_code == 400
        assert "not known here" in answer.text
    assert not is_signed_in(browser)


def test_an_answer_signs_in_once(app: Flask, person: ApiClient) -> None:
    """Neither a second post of it nor a copy of the cookie does it again."""
    device = add_passkey(person)
    browser = client_of(app)
    options = browser.post("/login/passkey/options", headers=SAME_SITE).text
    with browser.session_transaction() as session:
        challenge = session["challenge"]
    form = {"credential": device.sign(options)}
    assert browser.post("/login/passkey", headers=SAME_SITE, data=form).status_code == 303
    thief = client_of(app)
    assert thief.post("/login/passkey", headers=SAME_SITE, data=form).status_code == 400
    with thief.session_transaction() as session:
        session["challenge"] = challenge
    assert thief.post("/login/passkey", headers=SAME_SITE, data=form).status_code == 400
    assert not is_signed_in(thief)


def test_a_passkey_shows_again_who_is_there(
    app: Flask, person: ApiClient, acme: Account, sign_in: SignInMaker, clock: Clock
) -> None:
    device, others = add_passkey(person), add_passkey(sign_in(acme))
    clock.advance(minutes=10)
    assert person.get(f"{HOME}/app").status_code == 303
    refused = use_passkey(person, others, "/login/again/passkey")
    assert refused.status_code == 400
    assert person.get(f"{HOME}/app").status_code == 303
    assert use_passkey(person, device, "/login/again/passkey").headers["Location"] == NEXT
    assert person.get(f"{HOME}/app").status_code == 200


def test_who_has_only_passkeys_is_told_of_a_password_that_is_set_by_mail(
    app: Flask, person: ApiClient
) -> None:
    add_passkey(person)
    email = email_of(app, person.user_id)
    send(client_of(app), "/forgot", email=email)
    send(client_of(app), last_link(app, email), password=PASSWORD)
    assert mails_to(app, email)[-1].subject == "Your password was changed"
    assert not is_signed_in(person)


@pytest.mark.parametrize("target", ["https://a.example/", "//a.example", "/\\a.example"])
def test_a_passkey_leads_to_own_pages_only(app: Flask, person: ApiClient, target: str) -> None:
    device, browser = add_passkey(person), client_of(app)
    options = browser.post("/login/passkey/options", headers=SAME_SITE).text
    form = {"credential": device.sign(options), "next": target}
    answer = browser.post("/login/passkey", headers=SAME_SITE, data=form)
    assert answer.headers["Location"] == "/dashboard"


def test_the_session_is_not_one_that_was_planted(app: Flask, person: ApiClient) -> None:
    device, browser = add_passkey(person), client_of(app)
    with browser.session_transaction() as session:
        session["_user_id"] = "a planted token"
    assert use_passkey(browser, device).status_code == 303
    with browser.session_transaction() as session:
        assert session["_user_id"] != "a planted token"


def test_a_password_alone_gives_staff_no_other_factor(
    app: Flask, acme: Account, sign_in: SignInMaker, clock: Clock
) -> None:
    staff = sign_in(acme, staff_role=StaffRole.ADMIN, second_factor=True)
    device = add_passkey(staff)
    thief = client_of(app)
    with app.app_context(), transaction() as session:
        session.change(update(User).where(User.id == staff.user_id).values(password_hash="a hash"))
        by_password = sign_ins.begin(
            session, staff.user_id, Device("192.0.2.1", ""), clock(), second_factor=False
        )
    with thief.session_transaction() as cookie:
        cookie["_user_id"] = by_password
    for path in ("passkeys/options", "passkeys", f"passkeys/{device.passkey_id}/remove", "app"):
        answer = thief.post(f"{HOME}/{path}", headers=SAME_SITE)
        assert (answer.status_code, "your passkey first" in answer.text) == (403, True), path
    use_passkey(thief, device, "/login/again/passkey")
    assert thief.post(f"{HOME}/passkeys/options", headers=SAME_SITE).status_code == 200
