"""The buttons for a subscription on the portal page, besides changing and cancelling it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dev.stripe.store import Document
from dev.stripe.subscriptions import Subscriptions

PAID = frozenset({"active", "trialing"})
OWING = frozenset({"past_due", "unpaid"})
NEVER: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PortalAction:
    """``label`` is the button's, ``hint`` says what it does, ``done`` what was done. Offered in
    ``statuses`` only.

    ``perform`` returns the subscription. A status in ``declined`` means that the card was declined.
    """

    label: str
    hint: str
    done: str
    statuses: frozenset[str]
    perform: Callable[[Subscriptions, str], Document]
    declined: frozenset[str] = NEVER


WITHOUT_CUSTOMER = {
    "end-period": PortalAction(
        "End the current period",
        "A month or a year passes at once: the next invoice comes, a trial ends, what is cancelled "
        "ends.",
        "The period is over.",
        PAID | OWING,
        Subscriptions.end_period,
        declined=frozenset({"past_due"}),
    ),
    "retry": PortalAction(
        "Retry the payment",
        "Charge the card once more for what is open.",
        "The card was charged.",
        OWING | {"incomplete"},
        Subscriptions.retry_payment,
        declined=OWING | {"incomplete"},
    ),
    "give-up": PortalAction(
        "Give up and cancel",
        "The last attempt has failed, and the account is set to cancel then.",
        "The subscription was cancelled for want of payment.",
        frozenset({"past_due"}),
        partial(Subscriptions.give_up, how="canceled"),
    ),
    "mark-unpaid": PortalAction(
        "Give up and mark unpaid",
        "The last attempt has failed, and the account is set to leave it unpaid then.",
        "The subscription was marked unpaid.",
        frozenset({"past_due"}),
        partial(Subscriptions.give_up, how="unpaid"),
    ),
    "expire": PortalAction(
        "Let it expire",
        "A day passes, and nobody pays the first invoice.",
        "The subscription expired before it began.",
        frozenset({"incomplete"}),
        Subscriptions.expire,
    ),
    "pause": PortalAction(
        "Pause",
        "Nothing is charged, and nothing granted, as after a trial that ends without a card.",
        "The subscription is paused.",
        PAID,
        Subscriptions.pause,
    ),
    "resume": PortalAction(
        "Resume",
        "A new period begins and is charged; it stays paused if that fails.",
        "The subscription is resumed.",
        frozenset({"paused"}),
        Subscriptions.resume,
        declined=frozenset({"paused"}),
    ),
}
"""What time, a bank or an operator does with a subscription; Stripe's own portal has none of it."""

ACTIONS = WITHOUT_CUSTOMER | {
    "keep": PortalAction(
        "Keep subscription",
        "Take the cancellation back.",
        "The subscription goes on.",
        PAID | OWING,
        Subscriptions.keep,
    ),
}
