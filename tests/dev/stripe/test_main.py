"""``python -m dev.stripe``: a process of its own, over real sockets."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import stripe
from stripe import StripeClient

from app.config import Settings
from dev.environment import fake_stripe_account
from dev.ports import free_port
from dev.stripe.__main__ import main
from tests.conftest import PATIENCE_SECONDS, ROOT, wait_until

SECRET_KEY = "a secret key of the tests, of 32 characters or more"


def test_refuses_to_run_in_production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "APP_ENV": "production", "DATA_DIR": str(tmp_path), "SECRET_KEY": SECRET_KEY, "REDIS_URL": "redis://127.0.0.1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="does not run in production"):
        main()
    assert not list(tmp_path.iterdir())


def test_says_so_in_a_sentence(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "APP_ENV": "production",
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": SECRET_KEY,
        "REDIS_URL": "redis://127.0.0.1",
    }
    refused = subprocess.run(
        [sys.executable, "-m", "dev.stripe"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 1
    assert "does not run in production" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(tmp_path.iterdir())


def test_names_what_is_wrong_with_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "none")
    with pytest.raises(SystemExit, match="PORT"):
        main()


@pytest.mark.parametrize(
    "changes", [{"STRIPE_API_BASE": "https://api.stripe.com"}, {"STRIPE_SECRET_KEY": ""}]
)
def test_needs_to_be_told_where_it_is_and_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]
) -> None:
    given = {"APP_ENV": "development", "DATA_DIR": str(tmp_path), "SECRET_KEY": SECRET_KEY}
    for name, value in (given | fake_stripe_account(SECRET_KEY, 1) | changes).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=r"needs the STRIPE_… variables that \./run serve sets"):
        main()
    assert not list(tmp_path.iterdir())


def test_serves_the_sdk_over_a_socket_until_it_is_told_to_end(tmp_path: Path) -> None:
    account = fake_stripe_account(SECRET_KEY, free_port())
    machine = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in Settings.model_fields
    }
    environment = {
        **machine,
        "APP_ENV": "development",
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": SECRET_KEY,
        **account,
    }
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dev.stripe"],
            env=environment,
            cwd=ROOT,
            stdout=out,
            stderr=out,
        )
    client = StripeClient(
        account["STRIPE_SECRET_KEY"], base_addresses={"api": account["STRIPE_API_BASE"]}
    )

    def answers() -> bool:
        with suppress(stripe.APIConnectionError):
            return client.v1.prices.retrieve("price_team_month").unit_amount == 2900
        return False

    try:
        wait_until(answers, "the fake Stripe")
        made = client.v1.customers.create({"email": "ada@example.com"}, {"idempotency_key": "once"})
        assert client.v1.customers.retrieve(made.id).email == "ada@example.com"
        with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
            client.v1.subscriptions.retrieve("sub_nothing")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert "Traceback" not in log.read_text()
    assert account["STRIPE_SECRET_KEY"] not in log.read_text()
