"""What the portal page can do with a subscription at the push of a button, beside changing and
cancelling it."""

from collections.abc import Callable
from dataclasses import dataclass

from app.cashier.books import Books
from app.cashier.store import Document

PAID = frozenset({"active", "trialing"})
OWING = frozenset({"past_due", "unpaid"})
NEVER: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Step:
    """``label`` is the button's, ``hint`` says what it does, ``done`` what was done. Offered in
    ``statuses`` only.

    ``take`` returns the subscription. Where it is in one of ``declined`` then, the card was
    declined meanwhile.
    """

    label: str
    hint: str
    done: str
    statuses: frozenset[str]
    take: Callable[[Books, str], Document]
    declined: frozenset[str] = NEVER


TIME = {
    "end-period": Step(
        "End the current period",
        "A month or a year passes at once: the next invoice comes, a trial ends, what is cancelled "
        "ends.",
        "The period is over.",
        PAID | OWING,
        lambda books, subscription_id: books.end_period(subscription_id),
        declined=frozenset({"past_due"}),
    ),
    "retry": Step(
        "Retry the payment",
        "Charge the card once more for what is open.",
        "The card was charged.",
        OWING | {"incomplete"},
        lambda books, subscription_id: books.retry_payment(subscription_id),
        declined=OWING | {"incomplete"},
    ),
    "give-up": Step(
        "Give up and cancel",
        "The last attempt has failed, and the account is set to cancel then.",
        "The subscription was cancelled for want of payment.",
        frozenset({"past_due"}),
        lambda books, subscription_id: books.give_up(subscription_id, "canceled"),
    ),
    "mark-unpaid": Step(
        "Give up and mark unpaid",
        "The last attempt has failed, and the account is set to leave it unpaid then.",
        "The subscription was marked unpaid.",
        frozenset({"past_due"}),
        lambda books, subscription_id: books.give_up(subscription_id, "unpaid"),
    ),
    "expire": Step(
        "Let it expire",
        "A day passes, and nobody pays the first invoice.",
        "The subscription expired before it began.",
        frozenset({"incomplete"}),
        lambda books, subscription_id: books.expire_incomplete(subscription_id),
    ),
    "pause": Step(
        "Pause",
        "Nothing is charged, and nothing granted, as after a trial that ends without a card.",
        "The subscription is paused.",
        PAID,
        lambda books, subscription_id: books.pause(subscription_id),
    ),
    "resume": Step(
        "Resume",
        "A new period begins and is charged; it stays paused if that fails.",
        "The subscription is resumed.",
        frozenset({"paused"}),
        lambda books, subscription_id: books.resume(subscription_id),
        declined=frozenset({"paused"}),
    ),
}
"""What time or an operator does with a subscription; Stripe's own portal has none of it."""

STEPS = TIME | {
    "keep": Step(
        "Keep subscription",
        "Take the cancellation back.",
        "The subscription goes on.",
        PAID | OWING,
        lambda books, subscription_id: books.keep(subscription_id),
    ),
}
