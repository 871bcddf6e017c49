"""Objects in storage that no row needs any more.

The transaction that gives an object up records its key; the sweep removes the object.
"""

from collections.abc import Iterable
from itertools import islice

from app.models import DiscardedObject
from app.tenancy import TenantSession, insert_those_absent

BATCH_SIZE = 1000


def discard(session: TenantSession, keys: Iterable[str]) -> None:
    """Record these objects for the sweep to remove."""
    remaining = iter(keys)
    while part := [{"storage_key": key} for key in islice(remaining, BATCH_SIZE)]:
        insert_those_absent(session, DiscardedObject, part)
