"""What a text finds, and that each kind is found by an index."""

import re
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.extensions import transaction
from app.models import (
    Actor,
    ActorKind,
    BillingAccount,
    DataExport,
    DataExportStatus,
    FormerSlug,
    Organization,
    Rendition,
    RequestEntry,
    StripeEvent,
    User,
    new_id,
)
from app.services.accounts import keys
from app.services.library import trash
from app.services.staff import search
from app.services.staff.search import Found, Kind
from app.tenancy import unscoped
from tests.actors import TEST
from tests.clock import NOON, Clock
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases, plan_of, statements
from tests.exports import add_export
from tests.library import make_asset, reserve_space, store

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]


def find(text: str) -> Found:
    with transaction() as session, unscoped(session, "a test"):
        return search.find(session, search.clean(text))


def found(text: str) -> list[tuple[Kind, str]]:
    """Kinds and ids of all that is found."""
    return [(kind, hit.id) for kind, hits in find(text).groups.items() for hit in hits]


def leads_to(text: str) -> tuple[Kind, str, str | None] | None:
    hit = find(text).leads_to
    return (hit.kind, hit.id, hit.org_id) if hit else None


def rename(account: Account, name: str, slug: str | None = None) -> None:
    with transaction() as session:
        organization = session.get_one(Organization, account.org_id)
        organization.name, organization.slug = name, slug or organization.slug


def owner_of(account: Account) -> str:
    with transaction() as session, unscoped(session, "a test"):
        (hit,) = search.find(session, account.email).exact
        return hit.id


def key_of(account: Account, key: str) -> str:
    with transaction() as session, unscoped(session, "a test"):
        hit = search.key_of(session, key)
        assert hit
        assert hit.org_id == account.org_id
        return hit.id


def test_ids_lead_on(app: Flask, acme: Account) -> None:
    user_id, key_id = owner_of(acme), key_of(acme, acme.key)
    export_id, data_id = add_export(app, acme), new_id("data", NOON)
    request_id = new_id("req", NOON)
    with transaction(acme.org_id) as session:
        actor = Actor(ActorKind.SYSTEM, "tests")
        session.add(
            DataExport(id=data_id, status=DataExportStatus.DONE, created_at=NOON, actor=actor)
        )
        session.add(
            RequestEntry(
                id=request_id, key_id=key_id, mode="live", method="GET", route="/usage",
                status=200, milliseconds=3, created_at=NOON,
            )
        )  # fmt: skip
    own = acme.org_id
    assert leads_to(f"  {own}\n") == (Kind.ORGANIZATION, own, own)
    assert leads_to(user_id) == (Kind.PERSON, user_id, None)
    assert leads_to(key_id) == (Kind.KEY, key_id, own)
    assert leads_to(export_id) == (Kind.EXPORT, export_id, own)
    assert leads_to(data_id) == (Kind.EXPORT, data_id, own)
    assert leads_to(request_id) == (Kind.REQUEST, request_id, own)
    for prefix in (*search.BY_ID, "other"):
        assert found(new_id(prefix, NOON)) == []


def test_addresses_lead_on_and_begin(app: Flask, make_account: AccountMaker, clock: Clock) -> None:
    word = f"w{uuid4().hex[:12]}"
    one, other = make_account(f"{word}-a"), make_account(f"{word}-b")
    both = {owner_of(one), owner_of(other)}
    assert leads_to(one.email.upper()) == (Kind.PERSON, owner_of(one), None)
    local, _, domain = one.email.partition("@")
    assert leads_to(f"{local}+shop@{domain}") == (Kind.PERSON, owner_of(one), None), "its mailbox"
    for text in (word, f"{word}-", word.upper()):
        assert {hit for kind, hit in found(text) if kind is Kind.PERSON} == both
    assert [hit for kind, hit in found(f"{local}@ex") if kind is Kind.PERSON] == [owner_of(one)]
    assert found(f"{word}_") == [], "an underscore stands for itself"
    assert found(f"{word}%") == []


def test_a_mail_domain_finds_who_is_there(app: Flask, clock: Clock) -> None:
    domain, user_id = f"d{uuid4().hex}.example", new_id("user", NOON)
    with transaction() as session:
        session.add(User(id=user_id, email=f"someone@{domain}", created_at=NOON))
    for text in (domain, f"@{domain}", domain.upper()):
        assert found(text) == [(Kind.PERSON, user_id)]
    assert found(f"not{domain}") == []


def test_names_and_slugs(app: Flask, make_account: AccountMaker) -> None:
    word = f"Grüße {uuid4().hex[:12]}"
    slug = f"s{uuid4().hex[:12]}"
    one, other = make_account(), make_account()
    rename(one, f"{word} STRASSE GmbH", slug=f"{slug}-one")
    rename(other, word, slug=f"{slug}-other")
    with transaction() as session:
        session.add(FormerSlug(slug=f"{slug}-former", org_id=one.org_id))
    both = [(Kind.ORGANIZATION, other.org_id), (Kind.ORGANIZATION, one.org_id)]
    assert found(word.upper()) == both, "the exact name comes first"
    assert found(f"{word} straße") == both[1:]
    assert sorted(found(slug)) == sorted(both)
    assert found(f"{slug}-o") != []
    assert found(f"{slug}-former") == both[1:]
    assert found(f"{word}x") == []


def test_at_most_twenty_of_a_kind(app: Flask, acme: Account) -> None:
    word = f"many {uuid4().hex[:12]}"
    with transaction() as session:
        session.add_all(
            Organization(
                id=new_id("org", NOON), name=f"{word} {number}", plan_code="FREE", created_at=NOON
            )
            for number in range(25)
        )
    assert len(find(word).groups[Kind.ORGANIZATION]) == 20


def test_one_letter_finds_whole_names_only(app: Flask, make_account: AccountMaker) -> None:
    one, other = make_account(), make_account()
    rename(one, "ŋ")
    rename(other, "ŋŋ")
    ids = {hit for _, hit in found("ŋ")}
    assert one.org_id in ids
    assert other.org_id not in ids


def test_keys_by_their_last_four_characters_and_whole(app: Flask, acme: Account) -> None:
    key_id, last4 = key_of(acme, acme.key), acme.key[-4:]
    for text in (last4, f"…{last4}", f"...{last4}", f"psx_…{last4}", f"psx_{last4}"):
        assert (Kind.KEY, key_id) in found(text), text
    for text in (f"test_…{last4}", last4.swapcase()):
        assert (Kind.KEY, key_id) not in found(text), text
    for text in (f"Authorization: Bearer {acme.key}", acme.key.removeprefix("psx_")):
        assert search.holds_secret(text)
        assert key_of(acme, text) == key_id
    unknown = f"psx_{keys.new_secret()}"
    with transaction() as session, unscoped(session, "a test"):
        for text in (unknown, acme.key[:-1], f"psx_{'x' * 40}"):
            assert search.holds_secret(text)
            assert search.key_of(session, text) is None


def test_images_also_in_the_trash_and_by_their_storage_keys(
    app: Flask, acme: Account, globex: Account
) -> None:
    reserve_space(app, acme)
    own, ids = acme.org_id, [new_id("image", NOON) for _ in range(2)]
    stored = [f"orgs/{own}/2026/11/{uuid4()}-psx_{'a' * 30}.jpg" for _ in ids]
    content = uuid4().hex * 2
    assets = [
        make_asset(
            asset_id, name="a <b>", storage_key=key, content=content if asset_id == ids[0] else "0",
            thumbnail_key=f"thumbnails/{own}/{asset_id}.webp",
        )
        for asset_id, key in zip(ids, stored, strict=True)
    ]  # fmt: skip
    rendered = f"renditions/{own}/{new_id('claim', NOON)}"
    with transaction(own, "live") as session:
        store(session, assets)
        session.add(
            Rendition(
                id=new_id("rend", NOON), content=content, transform_key="x", claim="c",
                lease_until=NOON, storage_key=rendered, ready=True, created_at=NOON,
                needed_until=NOON,
            )
        )  # fmt: skip
    with transaction(own, "live") as session:
        assert trash.put(session, TEST, ids[1:], NOON)
    for asset_id, key in zip(ids, stored, strict=True):
        for text in (
            asset_id, key, f"incoming/{key}", f"https://bucket.example/{key}?X-Amz-Signature=a",
            f"thumbnails/{own}/{asset_id}.webp",
        ):  # fmt: skip
            assert not search.holds_secret(text)
            assert leads_to(text) == (Kind.IMAGE, asset_id, own), text
    assert leads_to(rendered) == (Kind.IMAGE, ids[0], own)
    of_another = stored[0].replace(own, globex.org_id)
    assert leads_to(of_another) == (Kind.ORGANIZATION, globex.org_id, globex.org_id)
    assert found(stored[0].replace(own, new_id("org", NOON))) == []


def test_exports_by_their_storage_keys(app: Flask, acme: Account, globex: Account) -> None:
    export_id = add_export(app, acme)
    key = f"exports/{acme.org_id}/{export_id}-2.zip"
    assert leads_to(key) == (Kind.EXPORT, export_id, acme.org_id)
    of_another = key.replace(acme.org_id, globex.org_id)
    assert leads_to(of_another) == (Kind.ORGANIZATION, globex.org_id, globex.org_id)


def test_ids_of_stripe(app: Flask, acme: Account) -> None:
    customer, subscription, event = (f"{kind}_{uuid4().hex}" for kind in ("cus", "sub", "evt"))
    with transaction(acme.org_id) as session:
        session.add(BillingAccount(customer_id=customer, subscription_id=subscription))
        session.add(
            StripeEvent(
                id=event, type="customer.updated", subject=customer, created_at=NOON,
                received_at=NOON,
            )
        )  # fmt: skip
    assert leads_to(customer) == (Kind.BILLING, customer, acme.org_id)
    assert found(customer) == [(Kind.BILLING, customer), (Kind.EVENT, event)]
    assert leads_to(subscription) == (Kind.BILLING, subscription, acme.org_id)
    assert leads_to(event) == (Kind.EVENT, event, None)
    assert found("cus_unknown") == []


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None
)
@given(
    st.one_of(
        st.text(max_size=600), st.from_regex(r"[a-z]{2,6}_[0-9a-z%_\\]{0,30}", fullmatch=True)
    )
)
def test_any_text_is_answered(app: Flask, clock: Clock, text: str) -> None:
    with app.app_context():
        find(text)
        with transaction() as session, unscoped(session, "a test"):
            search.key_of(session, text)


TEXTS = (
    *(f"{prefix}_{'0' * 24}" for prefix in search.BY_ID),
    "cus_1", "sub_1", "evt_1", "someone@example.com", "example.com", "some", "somebody", "ŋ",
    "psx_…aB3x",
    f"orgs/org_{'0' * 24}/2026/11/some.jpg", f"thumbnails/org_{'0' * 24}/upload_1.webp",
    f"renditions/org_{'0' * 24}/claim_1", f"exports/org_{'0' * 24}/exp_{'0' * 24}-1.zip",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_an_index_finds_it(app: Flask, text: str) -> None:
    with statements(app) as sent:
        find(text)
        with transaction() as session, unscoped(session, "a test"):
            search.key_of(session, f"psx_{keys.new_secret()}")
    asked = [statement for statement in sent if statement.text.startswith("SELECT")]
    assert len(asked) <= 12
    for statement in asked:
        plan = plan_of(app, statement)
        assert not re.search(r"^SCAN|Seq Scan", plan, re.MULTILINE), f"{statement}\n{plan}"
        scans = len(re.findall(r"(?:Index Scan|Index Only Scan|Bitmap Index Scan) ", plan))
        assert len(re.findall("Index Cond", plan)) == scans, f"{statement}\n{plan}"
