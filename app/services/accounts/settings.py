"""The settings of an organization that its owners choose."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from app.errors import BadRequest
from app.imaging import Format
from app.models import Organization
from app.services import audit
from app.services.accounts.permissions import Action
from app.services.accounts.principal import Principal
from app.tenancy import TenantSession


@dataclass(frozen=True)
class Preferences:
    """The time zone of dates on pages, and what the dashboard's forms begin with. ``format`` None
    keeps the format of each image."""

    time_zone: str
    quality: int
    format: Format | None

    @classmethod
    def read(cls, time_zone: str, quality: str, chosen_format: str) -> "Preferences":
        """What was typed into a form. Raises BadRequest with the problem of each field."""
        problems = []
        if time_zone not in time_zones():
            problems.append("timeZone: choose a time zone of the list, such as Europe/Madrid")
        if not (quality.isascii() and quality.isdigit() and 1 <= int(quality[:4]) <= 100):
            problems.append("quality: choose a whole number from 1 to 100")
        if chosen_format and chosen_format not in list(Format):
            problems.append("format: choose one of the list")
        if problems:
            raise BadRequest.of_fields(problems, "Some settings can't be saved.")
        return cls(time_zone, int(quality), Format(chosen_format) if chosen_format else None)


@lru_cache
def time_zones() -> tuple[str, ...]:
    """The names of the IANA database that stand for a place, and UTC."""
    names = sorted(available_timezones())
    return ("UTC", *(name for name in names if "/" in name and not name.startswith("Etc/")))


def change(
    session: TenantSession, principal: Principal, chosen: Preferences, now: datetime
) -> None:
    """Raises RoleTooLow."""
    principal.require(Action.RENAME)
    organization = session.get_one(Organization, principal.org_id, with_for_update=True)
    before = _state(organization)
    organization.time_zone = chosen.time_zone
    organization.default_quality = chosen.quality
    organization.default_format = chosen.format
    after = _state(organization)
    audit.record(session, principal.actor, "settings.changed", before, after, now)


def _state(organization: Organization) -> dict[str, Any]:
    return {
        "timeZone": organization.time_zone,
        "defaultQuality": organization.default_quality,
        "defaultFormat": organization.default_format,
    }
