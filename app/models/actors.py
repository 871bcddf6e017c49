"""Who acts: a key, a user, staff, or the system itself."""

from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column


class ActorKind(StrEnum):
    KEY = "key"
    USER = "user"
    STAFF = "staff"
    SYSTEM = "system"


@dataclass(frozen=True)
class Actor:
    """Who acts. ``id`` is the key's or the user's; for the system it names the part that acts.
    ``address`` is the IP address of the request, for the audit log; the same actor may have
    several."""

    kind: ActorKind
    id: str
    address: str | None = field(default=None, compare=False)


class ActedBy:
    """A row that names the actor who made it. There is no foreign key, so that the name stays when
    the actor is deleted."""

    actor_kind: Mapped[str] = mapped_column(
        String(8),
        CheckConstraint("actor_kind IN ('key', 'user', 'staff', 'system')", name="actor_kind"),
    )
    actor_id: Mapped[str] = mapped_column(String(32))

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind(self.actor_kind), self.actor_id)

    @actor.setter
    def actor(self, actor: Actor) -> None:
        self.actor_kind, self.actor_id = actor.kind, actor.id
