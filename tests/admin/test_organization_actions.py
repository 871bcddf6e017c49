"""What staff do to an organization, and what its people and the callers of its keys see of it."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import AuditEntry, Mail, Organization, Role, StaffRole, UsageCounter
from app.web.requirements import Member
from tests.admin.conftest import StaffMaker
from tests.architecture.test_pages import pages, path_of
from tests.client import Answer, ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, KeyMaker, SignIn
from tests.databases import on_both_databases
from tests.forms import post, text_of
from tests.staff import act, log_of

Do = Callable[..., Answer]


@pytest.fixture
def free(make_account: AccountMaker) -> Account:
    return make_account("free", plan="FREE")


@pytest.fixture
def do(staff: ApiClient, free: Account) -> Do:
    """Send a form about the account."""
    return lambda what, **fields: act(staff, f"{home(free)}/{what}", **fields)


def home(account: Account) -> str:
    return f"/admin/organizations/{account.org_id}"


def month(client: ApiClient, key: str) -> tuple[object, ...]:
    answer = client.get("/usage", headers=bearer(key))
    return answer.json["plan"], answer.json["used"], answer.json["limit"]


def subjects(app: Flask, account: Account) -> list[str]:
    """Of the mails to the owner, with the organization's name as "_"."""
    name = account.email.partition("@")[0]
    with app.app_context(), transaction() as session:
        mails = select(Mail.subject).where(Mail.recipient == account.email).order_by(Mail.id)
        return [subject.replace(name, "_") for subject in session.scalars(mails)]


def told_in_its_log(app: Flask, account: Account, staff: ApiClient) -> list[str]:
    """What the organization's own log says that this member of staff did."""
    with app.app_context(), transaction(account.org_id) as session:
        own = select(AuditEntry.action).where(
            AuditEntry.actor_kind == "staff", AuditEntry.actor_id == staff.user_id
        )
        return list(session.scalars(own.order_by(AuditEntry.id)))


def row_of(app: Flask, account: Account) -> Organization:
    with app.app_context(), transaction() as session:
        return session.get_one(Organization, account.org_id)


@on_both_databases
def test_a_plan_is_granted_until_the_end_of_a_day(
    app: Flask,
    do: Do,
    client: ApiClient,
    free: Account,
    make_key: KeyMaker,
    clock: Clock,
    staff: ApiClient,
    make_staff: StaffMaker,
) -> None:
    today = clock().date().isoformat()
    answer = do("grant", plan="business", until=today)
    assert (answer.status_code, answer.headers["Location"]) == (303, home(free))
    assert "Plan in force now: Business." in staff.get(home(free)).text
    assert month(client, make_key(free))[0] == "BUSINESS"
    (entry,) = log_of(app, staff)
    assert (entry.action, entry.org_id) == ("plan.granted", free.org_id)
    assert (entry.before["plan"], entry.after["plan"]) == ("FREE", "BUSINESS")
    assert told_in_its_log(app, free, staff) == ["plan.granted"]
    again = do("grant", plan="BUSINESS", until=today)
    assert (again.status_code, "This is granted already." in again.text) == (409, True)
    clock.advance(days=1)
    assert month(client, make_key(free))[0] == "FREE"
    tomorrow = make_staff()
    assert act(tomorrow, f"{home(free)}/grant", plan="TEAM").status_code == 303
    assert act(tomorrow, f"{home(free)}/grant", plan="FREE").status_code == 303
    assert row_of(app, free).granted_plan_code is None


@pytest.mark.parametrize(
    ("what", "fields", "problem"),
    [
        ("grant", {"plan": "GOLD"}, "Plan"),
        ("grant", {"plan": "TEAM\0" * 99}, "Plan"),
        ("grant", {"plan": "TEAM", "until": "yesterday"}, "Choose a day, or none."),
        ("grant", {"plan": "TEAM", "until": "2000-01-01"}, "at most ten years away"),
        ("grant", {"plan": "TEAM", "until": "9998-12-31"}, "at most ten years away"),
        ("raise", {"file_mb": "many", "batch_files": "0"}, "Enter a whole number from 1 to 5,000."),
        ("raise", {"monthly_images": "9" * 4000}, "from 1 to 1,000,000,000."),
        ("raise", {}, "These limits hold already."),
        ("correct", {"way": "credit", "images": "1", "once": "a"}, "has used 0 only"),
        ("correct", {"way": "steal", "images": "1", "once": "a"}, "taken away or added"),
        ("correct", {"way": "credit", "images": "-1", "once": "a"}, "whole number from 1"),
        ("correct", {"way": "correction", "images": "1.5", "once": "a"}, "whole number from 1"),
        ("correct", {"way": "correction", "images": "1,0000", "once": "a"}, "whole number from 1"),
        ("correct", {"way": "correction", "images": "1"}, "Open the page anew"),
        ("suspend", {"told": " \0 "}, "Say why, in a sentence"),
        ("suspend", {"told": "x" * 501}, "of at most 500 characters"),
        ("restore", {}, "This organization is not suspended."),
        ("revoke-key", {}, "Choose a key."),
        ("flag", {"flag": "x" * 256}, "of at most 255 characters"),
        ("unflag", {}, "There is no flag."),
        ("delete", {"typed": "another"}, "exactly as it stands above"),
        ("keep", {}, "Nobody has asked for its deletion."),
    ],
)  # fmt: skip
def test_a_refused_form_comes_back_with_the_problem_and_changes_nothing(
    app: Flask, do: Do, staff: ApiClient, free: Account, what: str, fields: dict[str, str],
    problem: str,
) -> None:  # fmt: skip
    before = subjects(app, free)
    answer = do(what, **fields)
    assert answer.status_code in (400, 409)
    assert problem in text_of(answer)
    if what not in ("restore", "unflag", "keep"):  # they are not offered now
        dialog = text_of(answer).partition(f'<dialog id="{what}"')[2].partition("</dialog>")[0]
        assert dialog.partition(">")[0].endswith(" open")
        assert problem in dialog
        assert "a customer asked for it" in dialog
    assert (log_of(app, staff), told_in_its_log(app, free, staff)) == ([], [])
    assert subjects(app, free) == before


@on_both_databases
def test_a_raised_limit_holds_for_keys_and_on_pages_until_its_end(
    app: Flask,
    do: Do,
    client: ApiClient,
    free: Account,
    make_key: KeyMaker,
    clock: Clock,
    sign_in: SignIn,
    staff: ApiClient,
    make_staff: StaffMaker,
) -> None:
    today = clock().date().isoformat()
    raised = {"monthly_images": "7,500", "requests_per_second": "50", "batch_files": "1"}
    assert do("raise", **raised, until=today).status_code == 303
    assert month(client, make_key(free)) == ("FREE", 0, 7500)
    answer = client.get("/usage", headers=bearer(make_key(free)))
    assert answer.headers["X-RateLimit-Limit"] == "500"
    owner = sign_in(free, Role.OWNER)
    assert "of 7,500" in owner.get(free.home).text
    assert "7,500</b> images a month" in owner.get(f"{free.home}/billing").text
    page = staff.get(home(free)).text
    assert 'value="7500"' in page
    assert f'value="{today}"' in page
    assert told_in_its_log(app, free, staff) == ["limits.raised"]
    clock.advance(days=1)
    assert month(client, make_key(free))[2] == 100
    assert act(make_staff(), f"{home(free)}/raise").status_code == 303
    assert row_of(app, free).raised_limits is None


@on_both_databases
def test_usage_is_corrected_by_entries_that_count_once(
    app: Flask, do: Do, client: ApiClient, free: Account, make_key: KeyMaker, staff: ApiClient,
    sign_in: SignIn,
) -> None:  # fmt: skip
    assert do("correct", way="correction", images="90", once="first").status_code == 303
    twice = do("correct", way="correction", images="90", once="first")
    assert (twice.status_code, "made already" in twice.text) == (409, True)
    assert do("correct", way="credit", images="91", once="b").status_code == 400
    assert do("correct", way="credit", images="30", once="second").status_code == 303
    assert month(client, make_key(free))[1] == 60
    ledger = staff.get(f"{home(free)}/ledger").text
    assert "−30" in ledger
    usage = text_of(sign_in(free, Role.OWNER).get(f"{free.home}/usage"))
    assert "Lightwell staff have added 60 images" in usage
    assert "No images in these days." in usage
    assert [(entry.action, entry.after) for entry in log_of(app, staff)] == [
        ("usage.corrected", {"images": 90}),
        ("usage.corrected", {"images": -30}),
    ]
    assert told_in_its_log(app, free, staff) == ["usage.corrected"] * 2


@on_both_databases
def test_a_suspended_organization_can_look_and_change_nothing(
    app: Flask, do: Do, client: ApiClient, free: Account, sign_in: SignIn, staff: ApiClient
) -> None:
    owner = sign_in(free, Role.OWNER)
    assert do("suspend", told="You <b>send</b> spam.").status_code == 303
    for key in (free.key, free.test_key):
        refused = client.get("/usage", headers=bearer(key))
        assert (refused.status_code, refused.json["code"]) == (403, "suspended")
        assert "You <b>send</b> spam." in refused.json["error"]
    page = owner.get(free.home)
    assert page.status_code == 200
    assert "This organization is suspended. You &lt;b&gt;send&lt;/b&gt; spam." in page.text
    refused = post(owner, f"{free.home}/usage/cap", cap="5")
    assert refused.status_code == 403
    assert "This organization is suspended." in refused.text
    portal = post(owner, f"{free.home}/billing/portal")
    assert portal.status_code != 403
    assert client.get("/docs/errors/suspended").status_code == 200
    assert post(owner, "/logout").status_code == 303
    assert do("suspend", told="Again.").status_code == 409
    assert do("restore").status_code == 303
    assert client.get("/usage", headers=bearer(free.key)).status_code == 200
    assert subjects(app, free)[-2:] == ["_ is suspended", "_ is restored"]
    assert [entry.action for entry in log_of(app, staff)] == [
        "organization.suspended",
        "organization.restored",
    ]
    assert told_in_its_log(app, free, staff) == [entry.action for entry in log_of(app, staff)]


def test_no_page_of_a_suspended_organization_takes_a_change(
    app: Flask, do: Do, free: Account, sign_in: SignIn
) -> None:
    """Its payments go on: the way to the provider's page is open."""
    owner = sign_in(free, Role.OWNER)
    assert do("suspend", told="Spam.").status_code == 303
    refused, taken = 0, []
    for rule, method in pages(app, Member):
        path = path_of(app, rule, slug=free.slug)
        if method == "GET":
            continue
        if post(owner, path).status_code == 403:
            refused += 1
        else:
            taken.append(rule.endpoint)
    assert refused > 30
    assert taken == ["dashboard.billing.portal"]


def test_keys_are_revoked_one_or_all(
    app: Flask, do: Do, client: ApiClient, free: Account, globex: Account, staff: ApiClient
) -> None:
    def works(key: str) -> bool:
        return client.get("/usage", headers=bearer(key)).status_code == 200

    page = staff.get(f"{home(free)}?confirm=revoke-key").text
    key_id = page.partition('name="key"')[2].partition('<option value="')[2].partition('"')[0]
    assert do("revoke-key", key=key_id).status_code == 303
    assert [works(free.key), works(free.test_key)].count(True) == 1
    assert do("revoke-key", key=key_id).status_code == 409
    foreign = staff.get(f"{home(globex)}?confirm=revoke-key").text
    foreign_id = (
        foreign.partition('name="key"')[2].partition('<option value="')[2].partition('"')[0]
    )
    assert do("revoke-key", key=foreign_id).status_code == 404
    assert do("revoke-keys").status_code == 303
    assert not works(free.key)
    assert not works(free.test_key)
    assert works(globex.key)
    assert do("revoke-keys").status_code == 409
    assert [(entry.action, entry.subject) for entry in log_of(app, staff)] == [
        ("key.revoked", key_id),
        ("keys.revoked", None),
    ]
    assert told_in_its_log(app, free, staff) == ["key.revoked"] * 2


def test_a_flag_is_set_and_taken_off(
    app: Flask, do: Do, free: Account, staff: ApiClient, make_staff: StaffMaker
) -> None:
    assert do("flag", flag="Many chargebacks").status_code == 303
    assert "Flagged: Many chargebacks" in staff.get(home(free)).text
    billing = make_staff(StaffRole.BILLING)
    assert act(billing, f"{home(free)}/unflag").status_code == 303
    assert row_of(app, free).flag is None
    assert told_in_its_log(app, free, staff) == ["organization.flagged"]


def test_an_organization_is_deleted_in_a_week_unless_that_is_taken_back(
    app: Flask, do: Do, client: ApiClient, free: Account, staff: ApiClient, clock: Clock
) -> None:
    name = row_of(app, free).name
    assert do("delete", typed=f" {name} ").status_code == 303
    assert client.get("/usage", headers=bearer(free.key)).status_code == 401
    assert do("delete", typed=name).status_code == 409
    assert do("keep").status_code == 303
    assert client.get("/usage", headers=bearer(free.key)).status_code == 200
    assert subjects(app, free)[-1] == "_ stays"
    clock.advance(minutes=11)
    late = do("delete", typed=name)
    assert (late.status_code, late.headers["Location"][:12]) == (303, "/login/again")
    assert row_of(app, free).delete_at is None
    assert told_in_its_log(app, free, staff) == [
        "organization.deletion_requested",
        "organization.deletion_taken_back",
    ]


def test_nothing_is_changed_at_what_is_deleted_or_never_was(
    app: Flask, do: Do, staff: ApiClient, free: Account, clock: Clock
) -> None:
    with app.app_context(), transaction() as session:
        session.get_one(Organization, free.org_id).deleted_at = clock()
    for what, fields in (
        ("suspend", {"told": "Spam."}), ("grant", {"plan": "TEAM"}), ("revoke-keys", {}),
        ("correct", {"way": "correction", "images": "1", "once": "a"}),
    ):  # fmt: skip
        assert do(what, **fields).status_code == 409
    for org_id in ("org_missing", "x" * 200, "a%00b"):
        assert act(staff, f"/admin/organizations/{org_id}/revoke-keys").status_code == 404
    assert log_of(app, staff) == []
    with app.app_context(), transaction(free.org_id) as session:
        assert session.scalar(select(UsageCounter.used)) is None


def test_lines_of_what_is_told_become_one(app: Flask, do: Do, free: Account) -> None:
    assert do("suspend", told="Pay first.\r\nThen write to us.").status_code == 303
    assert row_of(app, free).suspended_reason == "Pay first. Then write to us."


def test_a_direction_mark_in_its_name_protects_no_organization_from_deletion(
    app: Flask, do: Do, free: Account
) -> None:
    name = "\u200fAcme \u202eLtd"
    with app.app_context(), transaction() as session:
        session.get_one(Organization, free.org_id).name = name
    assert do("delete", typed=name).status_code == 303
    assert row_of(app, free).delete_at is not None


def test_a_reason_can_be_read_as_it_was_typed(app: Flask, do: Do, staff: ApiClient) -> None:
    """It holds nothing that turns the text around it, and says something."""
    for nothing in ("\u200b\u200b\u200b", "\u2800" * 4, "..."):
        assert do("flag", flag="x", reason=nothing).status_code == 400
    assert do("flag", flag="x", reason="no \u202egnorw\x1b[31m\r\nat all").status_code == 303
    assert [entry.reason for entry in log_of(app, staff)] == ["no gnorw[31m at all"]


def test_each_sees_only_what_their_role_may_do(make_staff: StaffMaker, free: Account) -> None:
    def offered(role: StaffRole) -> list[str]:
        page = make_staff(role).get(home(free)).text
        every = ("grant", "raise", "correct", "flag", "suspend", "revoke-keys", "delete")
        return [one for one in every if f'<dialog id="{one}"' in page]

    assert offered(StaffRole.SUPPORT) == []
    assert offered(StaffRole.BILLING) == ["grant", "raise", "correct", "flag"]
    assert len(offered(StaffRole.ADMIN)) == 7


def test_dialogs_name_what_they_hit(staff: ApiClient, make_account: AccountMaker) -> None:
    page = text_of(staff.get(f"{home(make_account('hit'))}?confirm=suspend"))
    assert '<dialog id="suspend" aria-labelledby="suspend-title" open>' in page
    assert "2 keys</b> of" in page
    assert "1 member</b> can look but change nothing" in page
