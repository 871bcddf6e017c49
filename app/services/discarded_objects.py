"""Objects in storage that no row needs any more.

They are written down in the transaction that gives them up, and the sweep removes them.
"""

from collections.abc import Iterable
from itertools import islice

from app.models import DiscardedObject
from app.tenancy import TenantSession, insert_those_absent

AT_ONCE = 1000


def discard(session: TenantSession, keys: Iterable[str]) -> None:
    """Have the sweep remove these objects."""
    remaining = iter(keys)
    while part := [{"storage_key": key} for key in islice(remaining, AT_ONCE)]:
        insert_those_absent(session, DiscardedObject, part)
