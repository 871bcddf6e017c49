"""The storage used by files that can be made again."""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.tenancy import Partitioned


class Kept(StrEnum):
    ANSWER = "answer"
    RENDITION = "rendition"
    EXPORT = "export"


class KeptBytes(Partitioned, Base):
    """The bytes of all kept answers, renditions or export ZIPs: the sum over the rows that name
    them.

    A transaction that adds or removes one locks this row until it ends.
    """

    __tablename__ = "kept_bytes"
    __table_args__ = (CheckConstraint("bytes >= 0", name="bytes"),)

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    mode: Mapped[str] = mapped_column(String(8), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
