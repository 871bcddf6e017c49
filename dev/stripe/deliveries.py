"""Sends signed events to the webhook until it accepts them. As with Stripe, the order is not
guaranteed and an event may come more than once."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import stripe
import structlog

from dev.stripe.state import FakeStripe

log = structlog.get_logger()

MIN_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 60.0
TIMEOUT_SECONDS = 10.0
IDLE_SECONDS = 3600.0


@dataclass(frozen=True)
class Wait:
    """The next try of an event that was not accepted: its time and the pause before it, in
    seconds."""

    until: float
    pause: float


class Deliveries:
    """Sends undelivered events, which the journal keeps across restarts. Not thread-safe."""

    def __init__(
        self, state: FakeStripe, url: str, secret: str, clock: Callable[[], datetime]
    ) -> None:
        self._state = state
        self._url = url
        self._secret = secret
        self._clock = clock
        self._waits: dict[str, Wait] = {}

    def send_due(self, now: float) -> float:
        """Send the events due at ``now``, in seconds of a monotonic clock. Returns the seconds
        until the next one is due."""
        for event_id in self._state.journal.undelivered():
            wait = self._waits.get(event_id)
            if wait and wait.until > now:
                continue
            if self._post(self._state.journal.find("event", event_id)):
                self._state.journal.delivered(event_id)
                self._waits.pop(event_id, None)
            else:
                pause = min(wait.pause * 2, MAX_PAUSE_SECONDS) if wait else MIN_PAUSE_SECONDS
                self._waits[event_id] = Wait(now + pause, pause)
        return min((wait.until - now for wait in self._waits.values()), default=IDLE_SECONDS)

    def _post(self, event: dict[str, object]) -> bool:
        body = json.dumps(event, indent=2)
        signature = stripe.WebhookSignature.generate_signature_header(
            body, self._secret, int(self._clock().timestamp())
        )
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature}
        target = urlsplit(self._url)
        connection = http.client.HTTPConnection(
            target.hostname or "", target.port, timeout=TIMEOUT_SECONDS
        )
        try:
            connection.request("POST", target.path, body.encode(), headers)
            outcome: object = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            outcome = str(error)
        finally:
            connection.close()
        taken = isinstance(outcome, int) and 200 <= outcome < 300
        if not taken:
            log.warning(
                "fake_stripe.not_delivered",
                event_id=event["id"],
                type=event["type"],
                outcome=outcome,
            )
        return taken


def start(state: FakeStripe, url: str, secret: str, clock: Callable[[], datetime]) -> None:
    """Deliver events in the background for the life of the process."""
    deliveries = Deliveries(state, url, secret, clock)

    def run() -> None:
        while True:
            state.journal.pending_events.clear()
            state.journal.pending_events.wait(deliveries.send_due(time.monotonic()))

    threading.Thread(target=run, name="fake-stripe-deliveries", daemon=True).start()
