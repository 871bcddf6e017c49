"""Who acts in tests."""

from app.models import Actor, ActorKind


def system(part: str) -> Actor:
    return Actor(ActorKind.SYSTEM, part)


A_KEY = Actor(ActorKind.KEY, "key_of_somebody")
STAFF = Actor(ActorKind.STAFF, "user_of_staff")
TEST = system("test")
OPERATOR = system("operator")
