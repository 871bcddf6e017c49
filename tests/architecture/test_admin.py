"""The console as a whole: every route of it, for everybody, and what each leaves in the log."""

import ast
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.routing import Rule

from app.extensions import transaction
from app.models import Role, StaffEntry, StaffRole
from app.services.staff import duties
from app.services.staff.duties import LOWEST_ROLES, Duty
from app.web.requirements import Staff
from tests.admin.conftest import StaffMaker, make_staff, staff
from tests.admin.samples import SAMPLES, Sample
from tests.architecture.test_pages import pages, path_of, without
from tests.architecture.test_routes import requirement_of
from tests.client import Answer, ApiClient, bearer
from tests.conftest import ROOT, Account, AccountMaker, SignIn
from tests.staff import REASON, SAME_SITE

__all__ = ["make_staff", "staff"]  # fixtures
NO_SAMPLE = Sample({}, {})


def routes(app: Flask) -> list[tuple[Rule, str]]:
    return pages(app, Staff)


def sample_of(app: Flask, account: Account, rule: Rule) -> Sample:
    make = SAMPLES.get(rule.endpoint)
    return make(app, account) if make else NO_SAMPLE


def send(client: ApiClient, method: str, path: str, fields: dict[str, str]) -> Answer:
    if method == "GET":
        return client.get(path, headers=SAME_SITE)
    return client.open(path, method=method, data=fields, headers=SAME_SITE)


def entries(app: Flask) -> int:
    with app.app_context(), transaction() as session:
        return session.scalar(select(func.count()).select_from(StaffEntry)) or 0


def test_every_route_is_one_of_the_console_and_has_a_sample(app: Flask) -> None:
    below = [rule for rule in app.url_map.iter_rules() if f"{rule.rule}/".startswith("/admin/")]
    assert below
    assert {rule.rule for rule in below} == {rule.rule for rule, _ in routes(app)}
    assert {rule.endpoint for rule in below if rule.arguments} <= set(SAMPLES)
    assert set(SAMPLES) <= {rule.endpoint for rule in below}
    for rule in below:
        assert (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"} <= {"POST"}, rule


def test_the_table_of_duties_names_each_and_a_higher_role_may_all_that_a_lower_may() -> None:
    assert set(LOWEST_ROLES) == set(Duty)
    for duty in Duty:
        allowed = [duties.may(role, duty) for role in StaffRole]
        assert allowed[0], duty
        assert allowed == sorted(allowed, reverse=True), duty


def test_nobody_else_reaches_a_route(
    app: Flask, client: ApiClient, acme: Account, sign_in: SignIn, make_staff: StaffMaker
) -> None:
    """No visitor, no owner, no key, nobody of the staff without a second factor: all get what they
    would get where nothing is."""
    owner, half = sign_in(acme, Role.OWNER), make_staff(second_factor=False)
    for rule, method in routes(app):
        path = path_of(app, rule)
        for caller in (client, owner, half):
            refusal = without(send(caller, method, "/nothing-here", {}), "/nothing-here")
            assert refusal[0] == 404
            answer = send(caller, method, path, {"reason": REASON})
            assert without(answer, path) == refusal, f"{method} {rule}"
        answer = client.open(path, method=method, headers={**SAME_SITE, **bearer(acme.key)})
        assert answer.status_code == 404, f"{method} {rule}"


def test_a_role_that_is_too_low_reaches_no_route(
    app: Flask, acme: Account, make_staff: StaffMaker
) -> None:
    callers = {role: make_staff(role) for role in StaffRole}
    for rule, method in routes(app):
        requirement = requirement_of(app, rule)
        assert isinstance(requirement, Staff)
        for role, caller in callers.items():
            if duties.may(role, requirement.duty):
                continue
            before = entries(app)
            answer = send(caller, method, path_of(app, rule), {"reason": REASON})
            assert answer.status_code == 403, f"{role}: {method} {rule}"
            assert entries(app) == before


def test_other_sites_change_nothing_here(app: Flask, staff: ApiClient) -> None:
    for rule, method in routes(app):
        if method == "GET":
            continue
        for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://a.example"}):
            answer = staff.open(path_of(app, rule), method=method, headers=headers)
            assert answer.status_code == 403, f"{method} {rule}"


def test_looking_leaves_no_entry(app: Flask, make_account: AccountMaker, staff: ApiClient) -> None:
    for rule, method in routes(app):
        if method != "GET":
            continue
        sample = sample_of(app, make_account(), rule)
        before = entries(app)  # a sample may have made one
        answer = send(staff, method, path_of(app, rule, **sample.ids), {})
        assert answer.status_code in (200, 302), f"{method} {rule}: {answer.status_code}"
        assert entries(app) == before, f"{method} {rule}"


@pytest.mark.usefixtures("billing_env")
def test_every_change_leaves_one_entry(
    app: Flask, make_account: AccountMaker, staff: ApiClient
) -> None:
    for rule, method in routes(app):
        if method == "GET":
            continue
        sample = sample_of(app, make_account(), rule)
        path, before = path_of(app, rule, **sample.ids), entries(app)
        answer = send(staff, method, path, {"reason": REASON, **sample.fields})
        assert answer.status_code in (200, 302, 303), f"{method} {rule}: {answer.status_code}"
        assert entries(app) == before + 1, f"{method} {rule}"


@pytest.mark.usefixtures("billing_env")
def test_a_change_without_a_reason_leaves_nothing(
    app: Flask, make_account: AccountMaker, staff: ApiClient
) -> None:
    for rule, method in routes(app):
        if method == "GET":
            continue
        sample = sample_of(app, make_account(), rule)
        path, before = path_of(app, rule, **sample.ids), entries(app)
        for reason in ("", "  \0 ", "x" * 501):
            answer = send(staff, method, path, {**sample.fields, "reason": reason})
            assert answer.status_code == 400, f"{method} {rule}: {answer.status_code}"
            assert entries(app) == before, f"{method} {rule}"


@pytest.mark.parametrize("folder", ["app/admin", "app/services/staff"])
def test_whoever_looks_across_organizations_says_why(folder: str) -> None:
    """The wall itself (app/tenancy.py) sees to it that nobody can without ``unscoped``."""
    for path in sorted((ROOT / Path(folder)).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("unscoped"):
                reason = node.args[1]
                assert isinstance(reason, ast.Constant | ast.JoinedStr | ast.Name), path
                assert not isinstance(reason, ast.Constant) or len(str(reason.value)) > 5, path
