"""The migrations make exactly the tables that the models declare, on both databases."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import check, upgrade
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Integer,
    MetaData,
    Table,
    func,
    inspect,
    select,
)
from sqlalchemy.exc import IntegrityError

from app.errors import Conflict
from app.extensions import db, transaction
from app.factory import create_app
from app.models import (
    Actor,
    ActorKind,
    ApiKey,
    Asset,
    AssetCount,
    AuditEntry,
    DailyEntry,
    Export,
    IdempotentRequest,
    Organization,
    Plan,
    Rendition,
    UsageEntry,
    User,
)
from app.services.accounts import identity
from app.services.library import assets
from app.services.library.facet_counts import facets_of
from app.services.library.listing import Filter, Sort, page_of
from app.tenancy import unscoped
from tests.clock import NOON
from tests.conftest import DatabaseMaker, release
from tests.databases import on_both_databases

pytestmark = [on_both_databases, pytest.mark.usefixtures("context")]


def test_tables_and_migrations_agree() -> None:
    check()


def test_the_four_plans_are_those_of_the_price_list() -> None:
    with transaction() as session:
        plans = session.scalars(
            select(Plan)
            .where(Plan.code.in_(["FREE", "TEAM", "BUSINESS", "ENTERPRISE"]))
            .order_by(Plan.position)
        ).all()
    rows = [
        (
            plan.code, plan.price_cents, plan.monthly_images, plan.requests_per_second,
            plan.storage_mb, plan.file_mb,
            plan.batch_files, plan.workspace_api,
        )
        for plan in plans
    ]  # fmt: skip
    assert rows == [
        ("FREE", 0, 100, 2, 1024, 20, 20, False),
        ("TEAM", 2900, 20_000, 3, 100 * 1024, 50, 100, True),
        ("BUSINESS", 9900, 200_000, 10, 1024 * 1024, 100, 500, True),
        ("ENTERPRISE", None, None, 100, None, 200, 1000, True),
    ]


@contextmanager
def database_at(
    revision: str, app: Flask, make_database: DatabaseMaker, folder: Path
) -> Iterator[None]:
    """A database of the same kind as the application's, migrated as far as ``revision``, in a
    context of its own."""
    is_sqlite = app.extensions["lightwell"].settings.database_url.startswith("sqlite")
    url = f"sqlite:///{folder}/old.sqlite3" if is_sqlite else make_database()
    old = create_app(app.extensions["lightwell"].settings.model_copy(update={"database_url": url}))
    try:
        with old.app_context():
            upgrade(revision=revision)
            yield
    finally:
        release(old)


def some_value(column: Column[Any]) -> object:
    """Anything that a column takes."""
    moment = datetime(2026, 6, 1, tzinfo=UTC)
    kinds: tuple[tuple[type, object], ...] = (
        (Boolean, True),
        (Integer, 1),
        (Float, 1.0),
        (JSON, []),
        (DateTime, moment),
        (Date, date(2026, 6, 1)),
    )
    return next((value for kind, value in kinds if isinstance(column.type, kind)), "live")


def row_of(table: Table, **values: object) -> dict[str, object]:
    """Whatever a row of the table cannot do without."""
    needed = {column.name: some_value(column) for column in table.columns if not column.nullable}
    return needed | {name: value for name, value in values.items() if name in table.columns}


def test_of_accounts_that_share_a_mailbox_the_oldest_has_it(
    app: Flask, make_database: DatabaseMaker, tmp_path: Path
) -> None:
    """All go on, with the keys that they have; the next one is refused."""
    emails = [
        "b+1@example.com",
        "b@example.com",
        "c.d@googlemail.com",
        "cd+x@gmail.com",
        "e@example.com",
    ]
    with database_at("0004", app, make_database, tmp_path):
        tables = MetaData()
        tables.reflect(db.engine, only=["users", "organizations", "api_keys"])
        users, organizations, api_keys = (
            tables.tables[name] for name in ("users", "organizations", "api_keys")
        )
        with db.engine.begin() as connection:
            for day, email in enumerate(emails, start=1):
                since = datetime(2026, 1, day, tzinfo=UTC)
                # The ids run against the dates, which alone say who is older.
                row = row_of(users, id=f"user_{9 - day}", email=email) | {"created_at": since}
                connection.execute(users.insert().values(row))
            organization = row_of(organizations, id="org_1", plan_code="FREE")
            connection.execute(organizations.insert().values(organization))
            connection.execute(
                api_keys.insert().values(row_of(api_keys, id="key_1", org_id="org_1", scopes=[]))
            )
        upgrade()
        check()
        with transaction() as session:
            mailboxes = {user.email: user.mailbox for user in session.scalars(select(User))}
            assert session.get_one(ApiKey, "key_1").original_key_id is None
        assert mailboxes == {
            "b+1@example.com": "b@example.com",
            "b@example.com": None,
            "c.d@googlemail.com": "cd@gmail.com",
            "cd+x@gmail.com": None,
            "e@example.com": "e@example.com",
        }
        for email in (*emails, "b+2@example.com"):
            with pytest.raises(Conflict), transaction() as session:
                identity.create_account(session, email, NOON)


def test_billing_comes_to_organizations_that_have_worked_for_long(
    app: Flask, make_database: DatabaseMaker, tmp_path: Path
) -> None:
    """Nobody loses a plan that was set by hand, nor anything else."""
    plans = {"org_free": "FREE", "org_team": "TEAM", "org_contract": "ENTERPRISE"}
    names = [
        "users",
        "organizations",
        "memberships",
        "api_keys",
        "usage_counters",
        "usage_entries",
        "assets",
    ]
    with database_at("0003", app, make_database, tmp_path):
        tables = MetaData()
        tables.reflect(db.engine, only=names)

        def counts() -> dict[str, int]:
            with db.engine.connect() as connection:
                return {
                    name: connection.scalars(
                        select(func.count()).select_from(tables.tables[name])
                    ).one()
                    for name in names
                }

        with db.engine.begin() as connection:
            for org_id, plan in plans.items():
                own = {
                    "org_id": org_id,
                    "user_id": f"user_{org_id}",
                    "plan_code": plan,
                    "role": "owner",
                }
                own |= {
                    "secret_sha256": org_id,
                    "storage_key": org_id,
                    "email": org_id,
                    "state": "settled",
                    "media_type": "IMAGE",
                }
                for name in names:
                    own["id"] = {"organizations": org_id, "users": f"user_{org_id}"}.get(
                        name, f"{name}_{org_id}"[:32]
                    )
                    connection.execute(
                        tables.tables[name].insert().values(row_of(tables.tables[name], **own))
                    )
        before = counts()
        assert set(before.values()) == {3}
        upgrade()
        assert counts() == before
        with transaction() as session:
            organizations = {one.id: one for one in session.scalars(select(Organization))}
        assert {one.id: one.plan_code for one in organizations.values()} == plans
        granted = {one.id: one.granted_plan_code for one in organizations.values()}
        assert granted == {"org_free": None, "org_team": "TEAM", "org_contract": "ENTERPRISE"}
        assert not any(
            one.metered or one.flag or one.plan_lapses_at for one in organizations.values()
        )
        check()


def test_what_keys_did_is_theirs_where_others_act_too(
    app: Flask, make_database: DatabaseMaker, tmp_path: Path
) -> None:
    """Keys and the system were all that acted before; no row is lost, nor what guards it."""
    settled = {"state": "settled"}
    by_keys = {
        "usage_entries": settled,
        "daily_entries": settled,
        "exports": {"status": "done"},
        "idempotent_requests": {},
    }
    others = ["organizations", "api_keys", "audit_entries", "renditions"]
    actors = ["key_1", "operator", "grace period"]
    recipes = ["format=webp;quality=80", "format=webp;quality=80;stamp=True", "stamp=True"]
    with database_at("0007", app, make_database, tmp_path):
        tables = MetaData()
        tables.reflect(db.engine, only=[*by_keys, *others])

        def add(name: str, **values: object) -> None:
            row = row_of(tables.tables[name], **{"org_id": "org_1", "key_id": "key_1", **values})
            with db.engine.begin() as connection:
                connection.execute(tables.tables[name].insert().values(row))

        add("organizations", id="org_1", plan_code="FREE")
        for key, line in (("key_0", None), ("key_1", "key_0")):
            add("api_keys", id=key, secret_sha256=key, line_id=line)
        for table, values in by_keys.items():
            add(table, id=table, **values)
        for number, actor in enumerate(actors):
            add("audit_entries", id=f"aud_{number}", actor=actor)
        for number, recipe in enumerate(recipes):
            add("renditions", id=f"rend_{number}", recipe=recipe)
        upgrade()
        check()

        with transaction() as session, unscoped(session, "a test"):
            by_key = Actor(ActorKind.KEY, "key_1")
            for model in (UsageEntry, DailyEntry, Export, IdempotentRequest):
                row: Any = session.scalars(select(model)).one()
                assert (row.id, row.actor) == (model.__tablename__, by_key)
            entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
            assert [entry.actor for entry in entries] == [
                by_key,
                Actor(ActorKind.SYSTEM, "operator"),
                Actor(ActorKind.SYSTEM, "grace period"),
            ]
            renditions = session.scalars(select(Rendition).order_by(Rendition.id))
            assert [rendition.transform_key for rendition in renditions] == [
                "format=webp;quality=80",
                "format=webp;quality=80;watermarked_for_test=True",
                "watermarked_for_test=True",
            ]
            originals = select(ApiKey.id, ApiKey.original_key_id).order_by(ApiKey.id)
            assert session.execute(originals).all() == [("key_0", None), ("key_1", "key_0")]

        inspector = inspect(db.engine)
        for table in (*by_keys, "audit_entries"):
            names = {one["name"] for one in inspector.get_check_constraints(table)}
            assert f"ck_{table}_actor_kind" in names
        unique = {
            one["name"]: one["column_names"]
            for table in ("idempotent_requests", "renditions")
            for one in inspector.get_unique_constraints(table)
        }
        assert unique == {
            "uq_idempotent_requests_asked": [
                "org_id", "actor_kind", "actor_id", "method", "path", "idempotency_key",
            ],
            "uq_renditions_org_id_mode_content_transform_key": [
                "org_id", "mode", "content", "transform_key",
            ],
        }  # fmt: skip


@pytest.mark.parametrize("table", ["usage_entries", "exports", "audit_entries"])
def test_nobody_else_acts(table: str) -> None:
    """The database itself knows who may."""
    tables = MetaData()
    tables.reflect(db.engine, only=[table])
    values = {"org_id": "org_nobody", "state": "settled", "status": "done", "actor_kind": "cat"}
    insert = tables.tables[table].insert().values(row_of(tables.tables[table], **values))
    with pytest.raises(IntegrityError, match="actor_kind"), db.engine.begin() as connection:
        connection.execute(insert)


def test_searched_texts_are_those_that_the_application_would_write(
    app: Flask, make_database: DatabaseMaker, tmp_path: Path
) -> None:
    """Old rows get folded texts, tags and counts, and are found."""
    texts = [
        ("Du\u0308rer 2.JPG", "IMG_10.jpg", ["Beach", "beach", "Straße"]),
        ("dürer 10", "Łódź.png", ["BEACH"]),
        ("b", "b", []),
        ("10", "x", ["lodz", "Łódź", "plain", "de\u0301ja\u0300 vu"]),
    ]
    with database_at("0010", app, make_database, tmp_path):
        tables = MetaData()
        names = ["organizations", "assets", "asset_tags", "asset_counts"]
        tables.reflect(db.engine, only=names)
        old = {name: tables.tables[name] for name in names}
        with db.engine.begin() as connection:
            for org in ("org_1", "org_2"):
                own = row_of(old["organizations"], id=org, plan_code="FREE")
                connection.execute(old["organizations"].insert().values(own))
                facets = Counter({"all": len(texts)})
                for number, (name, original_name, tags) in enumerate(texts):
                    key = f"{org}_{number}"
                    about: dict[str, object] = {
                        "id": key,
                        "org_id": org,
                        "storage_key": key,
                        "name": name,
                    }
                    about |= {"original_name": original_name, "tags": tags, "kind": "jpeg"}
                    row = row_of(old["assets"], media_type="IMAGE", **about)
                    connection.execute(old["assets"].insert().values(row))
                    for tag in tags:
                        tagged = row_of(old["asset_tags"], org_id=org, asset_id=key, tag=tag)
                        connection.execute(old["asset_tags"].insert().values(tagged))
                    facets.update(f"tag:{tag}" for tag in tags)
                for facet, number in facets.items():
                    counted = row_of(old["asset_counts"], org_id=org, facet=facet, count=number)
                    connection.execute(old["asset_counts"].insert().values(counted))
        upgrade()
        check()
        with transaction("org_1", "live") as session:
            migrated = {asset.id: asset for asset in session.scalars(select(Asset))}
            for asset in migrated.values():
                before = (
                    asset.name,
                    asset.original_name,
                    asset.tags,
                    asset.sort_name,
                    asset.search,
                )
                assets.set_texts(asset)
                after = (asset.name, asset.original_name, asset.tags, asset.sort_name, asset.search)
                assert before == after
            assert migrated["org_1_0"].name == "Dürer 2.JPG"
            assert migrated["org_1_0"].tags == ["Beach", "Straße"]
            expected = Counter(facet for one in migrated.values() for facet in facets_of(one))
            stored = {row.facet: row.count for row in session.scalars(select(AssetCount))}
            assert stored == {name: n for name, n in expected.items() if name != "type:IMAGE"}
            for wanted, ids in (
                (Filter(q="durer jpg"), ["org_1_0"]),
                (Filter(q="lodz"), ["org_1_3", "org_1_1"]),
                (Filter(tags=("Beach",)), ["org_1_0", "org_1_1"]),
                (Filter(tags=("łódź", "DÉJÀ VU")), ["org_1_3"]),
                (Filter(kinds=("jpeg",)), ["org_1_3", "org_1_2", "org_1_0", "org_1_1"]),
            ):
                page = page_of(session, wanted, Sort.NAME, 50)
                assert [asset.id for asset in page.assets] == ids
            assets.change(session, "org_1_2", {"name": "renamed quetzal"})
            assert page_of(session, Filter(q="quetzal"), Sort.NAME, 50).total == 1


def test_staff_become_admins_and_names_are_found(
    app: Flask, make_database: DatabaseMaker, tmp_path: Path
) -> None:
    with database_at("0011", app, make_database, tmp_path):
        tables = MetaData()
        tables.reflect(db.engine, only=["organizations", "users", "billing_accounts"])
        with db.engine.begin() as connection:
            for name, values in (
                ("organizations", {"id": "org_1", "name": "Äpfel & Co", "plan_code": "TEAM"}),
                ("organizations", {"id": "org_2", "name": "b", "slug": "b", "plan_code": "FREE"}),
                ("billing_accounts", {"org_id": "org_1", "plan_code": "TEAM"}),
                ("users", {"id": "user_1", "email": "a@example.com", "is_staff": True}),
                ("users", {"id": "user_2", "email": "b@example.com", "is_staff": False}),
            ):
                table = tables.tables[name]
                connection.execute(table.insert().values(row_of(table, **values)))
        upgrade()
        check()
        with transaction() as session:
            found = {one.id: one for one in session.scalars(select(Organization))}
            assert [one.folded_name for one in found.values()] == ["äpfel & co", "b"]
            assert [one.paid_plan_code for one in found.values()] == ["TEAM", None]
            roles = select(User.id, User.staff_role).order_by(User.id)
            assert session.execute(roles).all() == [("user_1", "admin"), ("user_2", None)]
