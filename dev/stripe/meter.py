"""The meter: reported usage and its sums."""

from datetime import timedelta

from dev.stripe.errors import refused
from dev.stripe.journal import StatePart, atomic, new_id
from dev.stripe.objects import meter_event_json
from dev.stripe.store import Document

REPORTED = "billing.meter_event"
OLDEST = int(timedelta(days=35).total_seconds())
NEWEST = int(timedelta(minutes=5).total_seconds())


class Meter(StatePart):
    @atomic
    def report(
        self,
        name: str,
        payload: dict[str, str],
        identifier: str | None = None,
        timestamp: int | None = None,
    ) -> Document:
        """Raises FakeStripeError as Stripe does, for a used identifier or a value that is not a
        number."""
        now = self.journal.now()
        customer = self.journal.customer(
            payload.get("stripe_customer_id", ""), "payload[stripe_customer_id]"
        )
        if not payload.get("value", "").isdecimal():
            raise refused("The meter counts whole numbers from 0.", "payload[value]")
        moment, known_as = now if timestamp is None else timestamp, identifier or new_id("mev")
        if not now - OLDEST <= moment <= now + NEWEST:
            raise refused(
                "The timestamp must be within the past 35 days, or 5 minutes in the future.",
                "timestamp",
            )
        if self.journal.store.get(REPORTED, known_as):
            raise refused(f"An event already exists with identifier {known_as}.")
        event = meter_event_json(known_as, now, name, payload, moment)
        self.journal.store.put(REPORTED, {"id": known_as, "event": event}, customer["id"])
        return event

    def all(self) -> list[Document]:
        return [entry["event"] for entry in self.journal.all(REPORTED)]

    def counted(self, customer_id: str, start: int, end: int) -> int:
        """Return a customer's usage from ``start`` (inclusive) to ``end`` (exclusive)."""
        events = [entry["event"] for entry in self.journal.all(REPORTED, customer_id)]
        return sum(
            int(event["payload"]["value"]) for event in events if start <= event["timestamp"] < end
        )
