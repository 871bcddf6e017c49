"""A hurry, for tests of Stripe's failures."""

import pytest
import stripe


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK tries again at once, where it would pause for half a second."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
