"""``/usage``: what the running month has used."""

from datetime import date

from flask import Response
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from app.extensions import transaction
from app.services.usage import limits
from app.services.usage.limits import Summary
from app.web.context import now, principal
from app.web.requirements import Key, requires
from app.web.schema import SECURITY, answer, errors

blueprint = APIBlueprint(
    "usage",
    __name__,
    abp_tags=[Tag(name="Usage", description="What the plan allows and what is left of it.")],
)


class UsageNow(BaseModel):
    """The month after a request that counted."""

    used: int = Field(description="Live images counted this month.", examples=[3])
    limit: int | None = Field(description="The plan's limit; null without one.", examples=[100])
    remaining: int | None = Field(
        description="What is left of it; null without a limit.", examples=[97]
    )

    @classmethod
    def of(cls, summary: Summary) -> "UsageNow":
        return cls(used=summary.used, limit=summary.limit, remaining=summary.remaining)


class Month(UsageNow):
    plan: str = Field(examples=["FREE"])
    resetDate: date = Field(
        description="First day of the next month, UTC.", examples=["2026-07-01"]
    )


@blueprint.get(
    "/usage",
    summary="This month's usage",
    security=SECURITY,
    responses={200: Month, **errors(401, 403)},
)
@requires(Key("read"))
def show() -> Response:
    """Live images of the running calendar month (UTC), for the whole organization."""
    with transaction(principal().org_id) as session:
        summary = limits.summarise(session, principal(), now())
    month = Month(
        plan=summary.plan, resetDate=summary.reset_date, **UsageNow.of(summary).model_dump()
    )
    return answer(month)
