"""``/billing``: buy a plan, look after the subscription."""

from typing import Annotated, Any, Literal

from flask import url_for
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from app.api.schema import SECURITY, Body, Printable, errors
from app.errors import Forbidden
from app.services import billing
from app.services.provider import Provider
from app.web import links
from app.web.context import needed_provider, principal, toolbox
from app.web.requirements import Key, requires

blueprint = APIBlueprint(
    "billing",
    __name__,
    url_prefix="/billing",
    abp_tags=[Tag(name="Billing", description="Plans and payments.")],
)


class Purchase(Body):
    plan: Annotated[str, Printable] = Field(
        description="TEAM or BUSINESS.", min_length=1, max_length=32, examples=["TEAM"]
    )
    interval: Literal["month", "year"] = Field("month", description="How often it is paid.")


class Page(BaseModel):
    url: str = Field(
        description="A page to open in a browser.", examples=["https://checkout.stripe.com/c/pay/…"]
    )


@blueprint.post(
    "/checkout",
    summary="Buy a plan, or change it",
    security=SECURITY,
    responses={200: Page, **errors(400, 401, 403, 409, 413, 415, 422, 501)},
)
@requires(Key("write"))
def checkout(body: Purchase) -> dict[str, Any]:
    """Returns the URL of Stripe's checkout; where a subscription runs already, of a page that
    confirms the change.

    The plan changes as soon as it is paid.
    """
    with toolbox().outbound.admitted(principal().org_id):
        url = billing.checkout(
            _provider(),
            principal().org_id,
            principal().actor,
            body.plan,
            body.interval,
            _return_url(),
        )
    return Page(url=url).model_dump()


@blueprint.post(
    "/portal",
    summary="Look after the subscription",
    security=SECURITY,
    responses={200: Page, **errors(401, 403, 409, 413, 422, 501)},
)
@requires(Key("write"))
def portal() -> dict[str, Any]:
    """Returns the URL of Stripe's customer portal: change or cancel the plan, card, invoices."""
    with toolbox().outbound.admitted(principal().org_id):
        url = billing.portal(_provider(), principal().org_id, principal().actor, _return_url())
    return Page(url=url).model_dump()


def _provider() -> Provider:
    if not principal().is_live:
        raise Forbidden("A test key spends no money: send a live key.")
    return needed_provider()


def _return_url() -> str:
    return links.absolute(url_for("docs.billing"))
