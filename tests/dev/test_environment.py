"""What a development server brings along, and how its processes and the commands beside it hear of
it."""

import os
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.config import STRIPE, Settings
from dev.environment import fake_stripe_account, local_services, read_services, write_services
from dev.ports import free_port
from tests.conftest import ROOT

ACCOUNT = {
    "STRIPE_SECRET_KEY": "sk_live_hunter2",
    "STRIPE_WEBHOOK_SECRETS": "whsec_hunter2",
    "STRIPE_PRICES": "TEAM/month=price_1",
}


def development(data_dir: Path, **given: str) -> dict[str, str]:
    return {"APP_ENV": "development", "DATA_DIR": str(data_dir), **given}


def services_of(environment: dict[str, str]) -> dict[str, str]:
    """What ``./run serve`` brings along, and leaves in the folder."""
    settings = Settings.from_env(environment)
    services = local_services(settings)
    write_services(settings.data_dir, services)
    return services


def test_development_has_a_valkey_and_a_fake_stripe(tmp_path: Path) -> None:
    environment = development(tmp_path)
    assert Settings.from_env(environment).stripe_secret_key == ""
    services = services_of(environment)
    settings = Settings.from_env(environment | services)
    assert settings.redis_url.startswith("redis://127.0.0.1:")
    assert settings.stripe_api_base.startswith("http://127.0.0.1:")
    assert settings.stripe_secret_key.startswith("sk_test_")
    assert len(settings.stripe_webhook_secrets) == 1
    assert {(price.plan, price.interval) for price in settings.stripe_prices} == {
        ("TEAM", "month"), ("TEAM", "year"), ("BUSINESS", "month"), ("BUSINESS", "year")
    }  # fmt: skip
    elsewhere = services_of(development(tmp_path, SECRET_KEY="another" * 8))
    assert elsewhere["STRIPE_SECRET_KEY"] != settings.stripe_secret_key


def test_it_is_written_down_for_its_operator_alone(tmp_path: Path) -> None:
    assert read_services(tmp_path) == {}
    services = services_of(development(tmp_path))
    assert read_services(tmp_path) == services
    assert (tmp_path / "serve.env").stat().st_mode & 0o077 == 0


def test_settings_do_not_look_for_it(tmp_path: Path) -> None:
    services_of(development(tmp_path))
    settings = Settings.from_env(development(tmp_path))
    assert (settings.redis_url, settings.stripe_secret_key) == ("redis://127.0.0.1:6379/0", "")


def test_ports_are_kept_where_they_are_free(tmp_path: Path) -> None:
    first = services_of(development(tmp_path))
    assert services_of(development(tmp_path)) == first
    with socket.socket() as other:
        other.bind(("127.0.0.1", urlsplit(first["STRIPE_API_BASE"]).port))
        other.listen()
        moved = services_of(development(tmp_path))
    assert moved["STRIPE_API_BASE"] != first["STRIPE_API_BASE"]
    assert moved["REDIS_URL"] == first["REDIS_URL"]


def test_production_has_no_fake_stripe(tmp_path: Path) -> None:
    given = {"SECRET_KEY": "s" * 32, "REDIS_URL": "redis://cache/0", "DATA_DIR": str(tmp_path)}
    assert services_of(given) == {}


@pytest.mark.parametrize("own", [ACCOUNT, {"STRIPE_API_BASE": "http://127.0.0.1:9"}])
def test_a_stripe_of_one_s_own_is_used_instead_of_the_fake_one(
    tmp_path: Path, own: dict[str, str]
) -> None:
    services_of(development(tmp_path))
    environment = development(tmp_path, **own)
    assert services_of(environment).keys() == {"REDIS_URL"}
    settings = Settings.from_env(environment | read_services(tmp_path))
    assert settings.stripe_api_base == own.get("STRIPE_API_BASE", STRIPE)


def test_what_the_operator_has_set_is_left_to_him(tmp_path: Path) -> None:
    own = {"REDIS_URL": "redis://cache/0", "STRIPE_PRICES": "TEAM/month=price_team_month"}
    services = services_of(development(tmp_path, **own))
    assert services.keys() == {"STRIPE_API_BASE", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS"}


OWN = {"APP_ENV": "production", "SECRET_KEY": "s" * 32, "REDIS_URL": "redis://127.0.0.1:9/0"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "The payment provider does not answer just now."),
        ({"STRIPE_API_BASE": "elsewhere"}, "STRIPE_API_BASE: must begin with https://"),
        ({"STRIPE_SECRET_KEY": "sk_own"}, "STRIPE_PRICES: STRIPE_SECRET_KEY needs it"),
        (OWN, "Payments are not configured on this server."),
    ],
    ids=["the server's", "another address", "another account", "production"],
)
def test_run_flask_asks_the_server_s_stripe_unless_it_is_told_of_another(
    tmp_path: Path, given: dict[str, str], said: str
) -> None:
    """The server is down: what is said shows who was asked."""
    write_services(tmp_path, fake_stripe_account("k" * 32, free_port()))
    done = subprocess.run(
        ["./run", "flask", "billing", "reconcile"],
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **given},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
