"""``/dashboard/<slug>/activity``: the audit log, as a page and as a CSV file."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request

from app.dashboard.frame import page_of
from app.extensions import transaction
from app.models import Organization
from app.services.accounts import activity
from app.services.accounts.activity import Activity, Filter
from app.services.accounts.permissions import Action
from app.web.changes import changes_of
from app.web.context import principal
from app.web.csv_answer import csv_answer
from app.web.requirements import Member, requires

blueprint = Blueprint("activity", __name__)

COLUMNS = ("Time", "Who", "Kind", "Action", "Before", "After", "Address", "Id")


@blueprint.get("/dashboard/<slug>/activity")
@requires(Member(action=Action.SEE_ACTIVITY))
def show(slug: str) -> Response:
    wanted = Filter.read(request.args)
    before = request.args.get("before", "")[: activity.MAX_TEXT].replace("\0", "")
    with transaction(principal().org_id) as session:
        zone = session.get_one(Organization, principal().org_id).time_zone
        found = activity.page(session, wanted, ZoneInfo(zone), before)
        actors, actions = activity.actors(session), activity.actions(session)
    query = wanted.as_query
    return page_of(
        "dashboard/activity.html",
        entries=found.entries,
        older=found.next and f"?{urlencode({**query, 'before': found.next})}",
        newest=f"?{urlencode(query)}" if before else None,
        csv=f"/dashboard/{slug}/activity.csv?{urlencode(query)}",
        wanted=wanted,
        is_filtered=bool(query),
        actors=actors,
        actions=actions,
        zone=zone,
        changes=partial(changes_of, zone=zone),
    )


@blueprint.get("/dashboard/<slug>/activity.csv")
@requires(Member(action=Action.SEE_ACTIVITY))
def download(slug: str) -> Response:
    org_id = principal().org_id
    with transaction(org_id) as session:
        zone = ZoneInfo(session.get_one(Organization, org_id).time_zone)
    entries = activity.all_pages(org_id, Filter.read(request.args), zone)
    return csv_answer(f"activity-{slug}.csv", COLUMNS, _rows(entries, zone))


def _rows(entries: Iterator[Activity], zone: ZoneInfo) -> Iterator[tuple[object, ...]]:
    for entry in entries:
        yield (
            entry.at.astimezone(zone).isoformat(timespec="seconds"),
            entry.actor,
            entry.actor_kind,
            entry.words,
            _text(entry.before),
            _text(entry.after),
            entry.address or "",
            entry.id,
        )


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False)
