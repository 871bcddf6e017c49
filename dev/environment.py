"""The environment variables of the services that ``./run serve`` starts. Its processes inherit
them, and ``./run flask`` reads them from ``serve.env`` in the data folder."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from app.config import Settings
from dev.ports import free_port, is_free


def local_services(settings: Settings) -> dict[str, str]:
    """Return the variables of a Valkey and a fake Stripe, on the ports of the last run if they are
    free. Services and variables that the operator has set are left out."""
    last, chosen = read_services(settings.data_dir), settings.model_fields_set
    services = {"REDIS_URL": f"redis://127.0.0.1:{_port(last.get('REDIS_URL', ''))}/0"}
    if settings.app_env == "development" and not {"stripe_secret_key", "stripe_api_base"} & chosen:
        port = _port(last.get("STRIPE_API_BASE", ""))
        services |= fake_stripe_account(settings.secret_key, port)
    return {name: value for name, value in services.items() if name.lower() not in chosen}


def write_services(data_dir: Path, services: Mapping[str, str]) -> None:
    """Only the operator may read the file, because it contains secrets."""
    file = _file(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    file.touch(0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in services.items()))


def read_services(data_dir: Path) -> dict[str, str]:
    """Return the variables of the last ``./run serve`` on the data folder. The file stays after it
    ends, so that the next one uses the same ports."""
    file = _file(data_dir)
    lines = file.read_text().splitlines() if file.exists() else []
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def fake_stripe_account(secret_key: str, port: int) -> dict[str, str]:
    """Return the settings for the fake Stripe on ``port``, as for a Stripe account, with its own
    secrets."""
    secret = hashlib.sha256(f"fake stripe {secret_key}".encode()).hexdigest()
    plans = [(plan, interval) for plan in ("TEAM", "BUSINESS") for interval in ("month", "year")]
    return {
        "STRIPE_API_BASE": f"http://127.0.0.1:{port}",
        "STRIPE_SECRET_KEY": f"sk_test_{secret[:32]}",
        "STRIPE_WEBHOOK_SECRETS": f"whsec_{secret[32:]}",
        "STRIPE_PRICES": ",".join(
            f"{plan}/{interval}=price_{plan.lower()}_{interval}" for plan, interval in plans
        ),
    }


def _file(data_dir: Path) -> Path:
    return data_dir / "serve.env"


def _port(last_url: str) -> int:
    """Return the port of ``last_url`` if it is free, else another free one."""
    last = urlsplit(last_url).port
    return last if last and is_free("127.0.0.1", last) else free_port()
