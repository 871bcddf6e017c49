"""``python -m app.cashier``: a process of its own, over real sockets."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import stripe
from stripe import StripeClient

from app.cashier.__main__ import main
from app.config import Settings
from app.embedded import cashier_account
from app.serve import free_port
from tests.conftest import PATIENCE_SECONDS, ROOT, wait_until

SECRET_KEY = "a secret key of the tests, of 32 characters or more"


def test_refuses_to_run_in_production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "APP_ENV": "production", "DATA_DIR": str(tmp_path), "SECRET_KEY": SECRET_KEY, "REDIS_URL": "redis://127.0.0.1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="does not run in production"):
        main([str(free_port())])
    assert not list(tmp_path.iterdir())


def test_names_what_is_wrong_with_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "none")
    with pytest.raises(SystemExit, match="PORT"):
        main(["0"])


def test_serves_the_sdk_over_a_socket_until_it_is_told_to_end(tmp_path: Path) -> None:
    port = free_port()
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
    }
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cashier", str(port)],
            env=environment,
            cwd=ROOT,
            stdout=out,
            stderr=out,
        )
    account = cashier_account(SECRET_KEY, port)
    client = StripeClient(
        account["stripe_secret_key"], base_addresses={"api": account["stripe_api_base"]}
    )

    def answers() -> bool:
        with suppress(stripe.APIConnectionError):
            return client.v1.prices.retrieve("price_team_month").unit_amount == 2900
        return False

    try:
        wait_until(answers, "the cashier")
        made = client.v1.customers.create({"email": "ada@example.com"}, {"idempotency_key": "once"})
        assert client.v1.customers.retrieve(made.id).email == "ada@example.com"
        with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
            client.v1.subscriptions.retrieve("sub_nothing")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert "Traceback" not in log.read_text()
    assert account["stripe_secret_key"] not in log.read_text()
