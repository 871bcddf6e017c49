"""Which pages are there for whom: every page, by page and by direct request."""

import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.routing import Rule

from app import models
from app.extensions import transaction
from app.imaging import Transform
from app.models import ApiKey, Mode, Passkey, Role, new_id
from app.services import audit
from app.services.accounts import permissions, sign_ins
from app.services.accounts.permissions import Action
from app.services.exports import presets
from app.services.library import assets as library_assets
from app.web.asset_filters import AssetQuery
from app.web.export_urls import ExportUrlQuery
from app.web.requirements import Key, Member, Nothing, User, Visitor
from tests.architecture.test_routes import requirement_of, rules
from tests.client import Answer, ApiClient, bearer, unmarked
from tests.clock import NOON
from tests.conftest import Account, SignIn
from tests.exports import add_export
from tests.library import make_asset, make_collection, reserve_space, store
from tests.people import last_link, new_email
from tests.pictures import add_picture
from tests.team import add_invitation, add_member

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
Maker = Callable[[Flask, Account, Mode], dict[str, str]]


def a_member(app: Flask, account: Account, _mode: Mode) -> dict[str, str]:
    return {"user_id": add_member(app, account)}


def an_invitation(app: Flask, account: Account, _mode: Mode) -> dict[str, str]:
    return {"invitation_id": add_invitation(app, account)}


def a_key(app: Flask, account: Account, _mode: Mode) -> dict[str, str]:
    with app.app_context(), transaction() as session:
        found = session.scalar(select(ApiKey.id).where(ApiKey.org_id == account.org_id).limit(1))
    return {"key_id": str(found)}


def a_collection(app: Flask, account: Account, mode: Mode) -> dict[str, str]:
    collection = make_collection(new_id("col", NOON))
    with app.app_context(), transaction(account.org_id, mode) as session:
        session.add(collection)
    return {"collection_id": collection.id}


def a_preset(app: Flask, account: Account, mode: Mode) -> dict[str, str]:
    with app.app_context(), transaction(account.org_id, mode) as session:
        preset, _ = presets.save(session, new_id("name", NOON), Transform(), NOON)
    return {"preset_id": preset.id}


def an_asset(app: Flask, account: Account, mode: Mode) -> dict[str, str]:
    return {"asset_id": add_picture(app, account, mode=mode)}


def an_export(app: Flask, account: Account, mode: Mode) -> dict[str, str]:
    return {"export_id": add_export(app, account, mode)}


def an_image(app: Flask, account: Account, mode: Mode) -> dict[str, str]:
    """Its file is nowhere."""
    image = make_asset(new_id("image", NOON))
    with app.app_context(), transaction(account.org_id, mode) as session:
        library_assets.add(session, image, library_assets.Label(image.name))
    return {"asset_id": image.id}


def a_tile(app: Flask, account: Account, mode: Mode) -> dict[str, str]:
    asset = make_asset(f"asset_{uuid4().hex[:24]}")
    with app.app_context(), transaction(account.org_id, mode) as session:
        library_assets.add(session, asset, library_assets.Label(asset.name))
    return {"asset_id": asset.id}


SAMPLES: dict[str, Maker] = {
    "dashboard.keys.show": a_key,
    "dashboard.keys.ask_rotation": a_key,
    "dashboard.keys.rotate": a_key,
    "dashboard.keys.revoke": a_key,
    "dashboard.team.member": a_member,
    "dashboard.team.change_role": a_member,
    "dashboard.team.make_owner": a_member,
    "dashboard.team.remove": a_member,
    "dashboard.team.resend": an_invitation,
    "dashboard.team.revoke": an_invitation,
    "dashboard.collections.show": a_collection,
    "dashboard.collections.change": a_collection,
    "dashboard.collections.move": a_collection,
    "dashboard.collections.delete": a_collection,
    "dashboard.presets.show": a_preset,
    "dashboard.presets.change": a_preset,
    "dashboard.presets.delete": a_preset,
    "dashboard.assets.show": an_asset,
    "dashboard.assets.view": an_asset,
    "dashboard.assets.download": an_asset,
    "dashboard.assets.show_details": an_asset,
    "dashboard.assets.relabel": an_asset,
    "dashboard.assets.publish": an_asset,
    "dashboard.assets.unpublish": an_asset,
    "dashboard.assets.delete": an_asset,
    "dashboard.assets.restore": an_asset,
    "dashboard.assets.ask_export": an_asset,
    "dashboard.assets.make_export": an_asset,
    "dashboard.exports.show": an_export,
    "dashboard.exports.download": an_export,
    "dashboard.exports.cancel": an_export,
    "dashboard.exports.delete": an_export,
    "dashboard.editor.show": an_image,
    "dashboard.editor.preview": an_image,
    "dashboard.editor.save": an_image,
    "dashboard.editor.remove_background": an_image,
    "dashboard.editor.pictures": an_image,
    "dashboard.library.tile": a_tile,
}
"""Endpoint → how to make in an organization what the ids in its path name, beside the slug."""
OF_BOTH_MODES = ("dashboard.keys.", "dashboard.team.")
"""Pages of what an organization has once, not once for live and once for test data."""
QUERIES = {Mode.LIVE: "", Mode.TEST: "?mode=test"}


def a_new_email(client: ApiClient) -> dict[str, str]:
    """An address that the person wants to have."""
    new = new_email()
    client.post("/account/email", data={"email": new}, headers=SAME_SITE)
    return {"token": last_link(client.application, new).rpartition("/")[2]}


def a_session(client: ApiClient) -> dict[str, str]:
    with client.application.app_context(), transaction() as session:
        return {"sign_in_id": sign_ins.list_of(session, client.user_id, NOON)[0].id}


def a_passkey(client: ApiClient) -> dict[str, str]:
    key = Passkey(
        id=new_id("passkey", NOON),
        user_id=client.user_id,
        name="Key",
        public_key=b"",
        sign_count=0,
        created_at=NOON,
    )
    with client.application.app_context(), transaction() as session:
        session.add(key)
    return {"passkey_id": key.id}


PERSONAL: dict[str, Callable[[ApiClient], dict[str, str]]] = {
    "dashboard.security.passkeys.rename": a_passkey,
    "dashboard.security.passkeys.remove": a_passkey,
    "dashboard.account.show_new_email": a_new_email,
    "dashboard.account.change_email": a_new_email,
    "dashboard.account_sessions.end": a_session,
}
"""The same for pages of a person, with a client that is signed in as that person."""


def pages(app: Flask, kind: type) -> list[tuple[Rule, str]]:
    """The rules with exactly this kind of requirement, once for each method."""
    return [
        (rule, method)
        for rule in rules(app)
        if type(requirement_of(app, rule)) is kind
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"})
    ]


def path_of(app: Flask, rule: Rule, **ids: str) -> str:
    values = {name: "0" if name == "number" else "unknown" for name in rule.arguments} | ids
    return app.url_map.bind("localhost").build(rule.endpoint, values)


def call(client: ApiClient, method: str, path: str) -> Answer:
    return client.open(path, method=method, headers=SAME_SITE)


def without(answer: Answer, *parts: str) -> tuple[int, bytes]:
    """Status and body, without what may differ."""
    data = unmarked(answer)
    for part in parts:
        data = data.replace(part.encode(), b"")
    return answer.status_code, data


def with_ids(app: Flask, kind: type) -> set[str]:
    return {rule.endpoint for rule, _ in pages(app, kind) if rule.arguments - {"slug"}}


def test_every_page_with_an_id_has_a_sample(app: Flask) -> None:
    assert with_ids(app, Member) == set(SAMPLES)
    assert with_ids(app, User) == set(PERSONAL)
    assert all("slug" in rule.arguments for rule, _ in pages(app, Member))


def test_pages_of_another_organization_are_not_there(
    app: Flask, acme: Account, globex: Account, sign_in: SignIn
) -> None:
    """Byte for byte as for an organization that never was."""
    outsider = sign_in(acme, Role.OWNER)
    for rule, method in pages(app, Member):
        theirs = path_of(app, rule, slug=globex.slug)
        invented = path_of(app, rule, slug="never-was")
        refusal = without(call(outsider, method, invented), "never-was")
        assert refusal[0] == 404, f"{method} {rule}"
        assert without(call(outsider, method, theirs), globex.slug) == refusal, f"{method} {rule}"


def test_things_of_another_organization_are_not_there(
    app: Flask, acme: Account, globex: Account, sign_in: SignIn
) -> None:
    owner, their_owner = sign_in(acme, Role.OWNER), sign_in(globex, Role.OWNER)
    for rule, method in pages(app, Member):
        if rule.endpoint not in SAMPLES:
            continue
        theirs = SAMPLES[rule.endpoint](app, globex, Mode.LIVE)
        invented = {name: f"{value[:-5]}zzzzz" for name, value in theirs.items()}
        hidden = (*theirs.values(), *invented.values())
        refusal = without(
            call(owner, method, path_of(app, rule, slug=acme.slug, **invented)), *hidden
        )
        assert refusal[0] == 404, f"{method} {rule}"
        answer = call(owner, method, path_of(app, rule, slug=acme.slug, **theirs))
        assert without(answer, *hidden) == refusal, f"{method} {rule}"
        own = call(their_owner, method, path_of(app, rule, slug=globex.slug, **theirs))
        assert own.status_code != 404, f"{method} {rule}"


@pytest.mark.parametrize(("made", "asked"), [(Mode.LIVE, Mode.TEST), (Mode.TEST, Mode.LIVE)])
def test_things_of_the_other_mode_are_not_there(
    app: Flask, acme: Account, sign_in: SignIn, made: Mode, asked: Mode
) -> None:
    """Byte for byte as for what never was."""
    owner, seen = sign_in(acme, Role.OWNER), 0
    reserve_space(app, acme)
    for rule, method in pages(app, Member):
        if rule.endpoint not in SAMPLES or rule.endpoint.startswith(OF_BOTH_MODES):
            continue
        ids = SAMPLES[rule.endpoint](app, acme, made)
        invented = {name: f"{value[:-5]}zzzzz" for name, value in ids.items()}
        answers = [
            without(
                call(owner, method, path_of(app, rule, slug=acme.slug, **some) + QUERIES[asked]),
                *ids.values(),
                *invented.values(),
            )
            for some in (ids, invented)
        ]
        assert answers[0] == answers[1], f"{method} {rule}"
        assert answers[0][0] == 404, f"{method} {rule}"
        seen += 1
    assert seen > 20


def test_things_of_another_person_are_not_there(app: Flask, acme: Account, sign_in: SignIn) -> None:
    person, other = sign_in(acme), sign_in(acme)
    for rule, method in pages(app, User):
        if rule.endpoint not in PERSONAL:
            continue
        theirs = PERSONAL[rule.endpoint](other)
        answer = call(person, method, path_of(app, rule, **theirs))
        assert answer.status_code == 404, f"{method} {rule}"


@pytest.mark.parametrize("role", Role)
def test_a_role_may_what_the_table_says(
    app: Flask, acme: Account, sign_in: SignIn, role: Role
) -> None:
    member = sign_in(acme, role)
    for rule, method in pages(app, Member):
        requirement = requirement_of(app, rule)
        assert isinstance(requirement, Member)
        answer = call(member, method, path_of(app, rule, slug=acme.slug))
        allowed = permissions.may(role, requirement.action)
        assert (answer.status_code != 403) is allowed, f"{method} {rule} {answer.status_code}"
        if rule.endpoint == "dashboard.team.leave":
            member = sign_in(acme, role)


@pytest.mark.parametrize("kind", [User, Member])
def test_pages_lead_to_the_sign_in_page(
    app: Flask, client: ApiClient, acme: Account, kind: type
) -> None:
    """A key opens none."""
    for rule, method in pages(app, kind):
        path = path_of(app, rule, slug=acme.slug)
        for headers in ({}, bearer(acme.key)):
            answer = client.open(path, method=method, headers={**SAME_SITE, **headers})
            assert answer.status_code == 303, f"{method} {path}"
            assert answer.headers["Location"].startswith("/login?next=%2F"), f"{method} {path}"


def test_a_session_does_not_open_the_api(app: Flask, acme: Account, sign_in: SignIn) -> None:
    member = sign_in(acme, Role.OWNER)
    for rule, method in pages(app, Key):
        answer = call(member, method, path_of(app, rule))
        assert answer.status_code == 401, f"{method} {rule}"


@pytest.mark.parametrize("kind", [Visitor, User, Member])
def test_other_sites_change_nothing(app: Flask, acme: Account, sign_in: SignIn, kind: type) -> None:
    member = sign_in(acme, Role.OWNER)
    for rule, method in pages(app, kind):
        if method == "GET":
            continue
        path = path_of(app, rule, slug=acme.slug)
        for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://a.example"}):
            answer = member.open(path, method=method, headers=headers)
            assert answer.status_code == 403, f"{method} {path}"


def test_nothing_that_changes_is_open_to_everybody_s_browser(app: Flask) -> None:
    """What a form could send names a requirement that refuses other sites, or a key."""
    writing = {
        rule.endpoint for rule, method in pages(app, Nothing) if method not in ("GET", "HEAD")
    }
    signed = {"delivery.upload", "delivery.upload_part"}
    assert writing <= {"account.register", "webhooks.receive", *signed}


def directives(answer: Answer) -> dict[str, list[str]]:
    """The Content-Security-Policy: directive → sources."""
    parts = [part.split() for part in answer.headers["Content-Security-Policy"].split(";")]
    return {name: sources for name, *sources in parts}


def test_pages_are_framed_by_nobody_kept_by_nobody_and_run_our_scripts_only(
    app: Flask, acme: Account, sign_in: SignIn
) -> None:
    for kind in (Visitor, User, Member):
        for rule, method in pages(app, kind):
            client = sign_in(acme, Role.OWNER)
            ids = SAMPLES[rule.endpoint](app, acme, Mode.LIVE) if rule.endpoint in SAMPLES else {}
            ids |= PERSONAL[rule.endpoint](client) if rule.endpoint in PERSONAL else {}
            answer = call(client, method, path_of(app, rule, slug=acme.slug, **ids))
            policy = directives(answer)
            assert policy["frame-ancestors"] == ["'none'"], f"{method} {rule}"
            scripts = policy.get("script-src", policy["default-src"])
            assert not {"'unsafe-inline'", "'unsafe-eval'", "*"} & {*scripts}, f"{method} {rule}"
            assert answer.headers["Cache-Control"] == "no-store", f"{method} {rule}"


ATTACK = '"><img src=x onerror=1>'


def call_all_by(name: str, app: Flask, account: Account, user_id: str) -> None:
    """Name organization, person, keys, an asset and a host, past all checks."""
    with app.app_context(), transaction(account.org_id, Mode.LIVE) as session:
        session.get_one(models.Organization, account.org_id).name = name
        session.get_one(models.User, user_id).name = name
        session.change(update(ApiKey).where(ApiKey.org_id == account.org_id).values(name=name))
        store(session, [make_asset(f"asset_{uuid4().hex[:24]}", name, original_name=name)])
        session.add(models.AllowedHost(host=name))
        collection = make_collection(f"col_{uuid4().hex[:24]}")
        collection.name = name
        session.add(collection)
        presets.save(session, name, Transform(), NOON)
        actor = models.Actor(models.ActorKind.USER, user_id, name)
        audit.record(session, actor, name, {name: name}, {name: [name]}, NOON)


def test_names_run_nothing_on_any_page(app: Flask, acme: Account, sign_in: SignIn) -> None:
    owner, shown = sign_in(acme, Role.OWNER), 0
    call_all_by(ATTACK, app, acme, owner.user_id)
    for rule, method in pages(app, Member):
        if method == "GET":
            ids = SAMPLES[rule.endpoint](app, acme, Mode.LIVE) if rule.endpoint in SAMPLES else {}
            page = owner.get(path_of(app, rule, slug=acme.slug, **ids))
            if page.mimetype == "text/html":
                assert "<img src=x" not in page.text, f"{method} {rule}"
                shown += "&lt;img src=x" in page.text
    assert shown > 10


FIELDS = re.compile(r'(?:args|form)\.get(?:list)?\(\s*"(\w+)"')
VALUES = (
    "\0a", "-1", "9" * 30, "9" * 5000, "1e400", "\u0663", "\u202e</script><b>\"'", "x" * 9000,
    "%00", "\ud7ff\uffff", "9999-12-31T23:59:59-23:59", "../..", "\r\nX: y",
    ",".join(["a"] * 2000),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("app", ["postgresql"], indirect=True)
def test_no_value_of_a_field_breaks_a_page(app: Flask, acme: Account, sign_in: SignIn) -> None:
    """PostgreSQL is the one that refuses texts and numbers which SQLite takes."""
    owner = sign_in(acme, Role.OWNER)
    sources = [path.read_text() for path in Path("app/dashboard").glob("*.py")]
    names = {*FIELDS.findall("".join(sources)), *AssetQuery.model_fields}
    names |= {*ExportUrlQuery.model_fields, "name", "color", "parentId", "add", "remove"}
    for rule, method in pages(app, Member):
        ids = SAMPLES[rule.endpoint](app, acme, Mode.LIVE) if rule.endpoint in SAMPLES else {}
        path = path_of(app, rule, slug=acme.slug, **ids)
        for value in VALUES:
            where = "query_string" if method == "GET" else "data"
            fields = dict.fromkeys(sorted(names), value[:200] if method == "GET" else value)
            answer = owner.open(path, method=method, headers=SAME_SITE, **{where: fields})
            assert answer.status_code != 500, f"{method} {rule} {value[:30]!r}"
            if rule.endpoint == "dashboard.team.leave":
                owner = sign_in(acme, Role.OWNER)


def test_every_action_of_the_table_is_asked_for() -> None:
    """What nobody asks for would be a promise of the page about roles only."""
    sources = [path for path in Path("app").rglob("*.py") if path.name != "permissions.py"]
    asked = set(re.findall(r"Action\.([A-Z_]+)", "".join(path.read_text() for path in sources)))
    assert asked == set(Action.__members__)
