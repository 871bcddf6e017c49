"""``/auth``: open an account, replace a key."""

from flask import Response
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, Field

from app.extensions import transaction
from app.services.accounts import identity, keys
from app.web.context import container, now, principal, workspace_transaction
from app.web.idempotency import never_stored
from app.web.limits import opens_accounts, rotates_keys
from app.web.requirements import Key, Nothing, requires
from app.web.schema import SECURITY, Body, answer, errors

blueprint = APIBlueprint(
    "account",
    __name__,
    url_prefix="/auth",
    abp_tags=[Tag(name="Account", description="Open an account and look after its keys.")],
)


class Registration(Body):
    email: str = Field(
        description="Your e-mail address.", max_length=320, examples=["you@example.com"]
    )


class Registered(BaseModel):
    apiKey: str = Field(description="The live key. Shown once.", examples=["psx_…"])
    testApiKey: str = Field(
        description="The test key: works like the live one, counts nothing.", examples=["test_…"]
    )
    plan: str = Field(examples=["FREE"])
    monthlyLimit: int | None = Field(
        description="Live images a month; null without a limit.", examples=[100]
    )
    message: str


class Rotated(BaseModel):
    apiKey: str = Field(description="The new key. Shown once.", examples=["psx_…"])


@blueprint.post(
    "/register",
    summary="Open an account",
    responses={201: Registered, **errors(400, 403, 409, 413, 415)},
)
@requires(Nothing())
@opens_accounts
def register(body: Registration) -> Response:
    """Makes a user, an organization on the FREE plan, one live and one test key. No password, no
    card.

    A mailbox has one account, however its address is written (`you+tag@…`). A mail asks to confirm
    the address: after 7 days without that the live key is refused. Attempts are limited by network.
    """
    with transaction() as session:
        account = identity.register(session, body.email, container().settings.site, now())
    registered = Registered(
        apiKey=account.api_key,
        testApiKey=account.test_api_key,
        plan=account.plan,
        monthlyLimit=account.monthly_limit,
        message="Account created. Keep your API key safe — it will not be shown again.",
    )
    return answer(registered, 201)


@blueprint.post(
    "/rotate-key",
    summary="Replace the key you send",
    security=SECURITY,
    responses={200: Rotated, **errors(401, 403)},
)
@requires(Key("write"))
@never_stored
@rotates_keys
def rotate_key() -> Response:
    """Revokes the key that the request carries, at once, and returns one with the same name, scopes
    and mode.

    Rate limits go on as they were. An organization may rotate 5 keys a minute.
    """
    with workspace_transaction() as session:
        key = keys.rotate(session, principal(), now())
    return answer(Rotated(apiKey=key))
