"""How much is kept of what can be made again."""

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
    """Bytes of all kept answers, renditions or ZIPs of exports: the sum over the rows that name
    them.

    Whoever adds or removes one holds this row until the transaction ends.
    """

    __tablename__ = "kept_bytes"
    __table_args__ = (CheckConstraint("bytes >= 0", name="bytes"),)

    org_id: Mapped[str] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    mode: Mapped[str] = mapped_column(String(8), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
