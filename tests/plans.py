"""Plans of tests' own."""

from typing import Any
from uuid import uuid4

from app.models import Plan
from app.services.staff.plans import VALUES
from app.tenancy import TenantSession


def add_plan(session: TenantSession, template: str = "TEAM", **values: Any) -> Plan:
    """Add a plan that no page lists, with the values of another but for ``values``."""
    like = session.get_one(Plan, template)
    own = {name: getattr(like, name) for name in VALUES} | {"listed": False} | values
    plan = Plan(code=f"T{uuid4().hex[:16]}".upper(), position=like.position, **own)
    session.add(plan)
    session.flush()
    return plan
