"""The outbox of mails."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.types import UtcDateTime


class Mail(Base):
    """A mail to one address. It is written in the transaction that causes it and sent by a job.

    ``next_attempt_at`` is set until the mail was sent or given up. Bodies are erased then, because
    they hold links that are secrets; a development server, which sends nothing, keeps them.
    """

    __tablename__ = "mails"
    __table_args__ = (
        Index("ix_mails_next_attempt_at", "next_attempt_at"),
        Index("ix_mails_recipient_created_at", "recipient", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    recipient: Mapped[str] = mapped_column(String(320))
    subject: Mapped[str] = mapped_column(String(255))
    text: Mapped[str | None] = mapped_column(Text)
    html: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(String(500))
