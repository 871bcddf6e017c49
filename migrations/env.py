"""Alembic's entry point, through Flask-Migrate: the application knows the database and the
tables."""

from typing import Any, Literal

from alembic import context
from flask import current_app

from app.extensions import Base
from app.models import UtcDateTime

migrate = current_app.extensions["migrate"]


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Migrations outlive the code: they name SQLAlchemy's types, not ours."""
    return (
        "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False
    )


def include_name(name: str | None, _kind: str, _parents: Any) -> bool:
    """The search index has a form of its own on each database, so no model declares it (0002)."""
    return not (name or "").startswith("asset_search")


def run() -> None:
    """Migrate online; SQLite alters tables by copying them, and one transaction holds each
    migration."""
    engine = migrate.db.engine
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            render_item=render_item,
            include_name=include_name,
            **migrate.configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("Migrations run against a database: leave out --sql.")
run()
