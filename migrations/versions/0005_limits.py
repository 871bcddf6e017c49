"""Limits that hold: keys remember which line they come from, and a mailbox has one account."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

GMAIL = ("gmail.com", "googlemail.com")


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("line_id", sa.String(length=32), nullable=True))
    op.add_column("users", sa.Column("mailbox", sa.String(length=320), nullable=True))
    _fill_mailboxes()
    op.create_index("ix_users_mailbox", "users", ["mailbox"], unique=True)


def _fill_mailboxes() -> None:
    """Of several accounts that share a mailbox the oldest gets it; the others stay as they are,
    without one."""
    connection = op.get_bind()
    users = sa.table(
        "users", sa.column("id"), sa.column("email"), sa.column("mailbox"), sa.column("created_at")
    )
    oldest: dict[str, str] = {}
    for user_id, email in connection.execute(
        sa.select(users.c.id, users.c.email).order_by(users.c.created_at, users.c.id)
    ):
        oldest.setdefault(_mailbox_of(email), user_id)
    if oldest:
        connection.execute(
            sa.update(users)
            .where(users.c.id == sa.bindparam("user_id"))
            .values(mailbox=sa.bindparam("its_mailbox")),
            [{"user_id": user_id, "its_mailbox": mailbox} for mailbox, user_id in oldest.items()],
        )


def _mailbox_of(email: str) -> str:
    local, _, domain = email.rpartition("@")
    local = local[:1] + local[1:].partition("+")[0]
    if domain in GMAIL:
        local, domain = local.replace(".", ""), GMAIL[0]
    return f"{local}@{domain}"
