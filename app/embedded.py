"""What a development server brings along in its data folder: a secret key, a Valkey, a test
cashier.

The processes of one server, and commands beside them, find each other here.
"""

import hashlib
import os
import secrets
from pathlib import Path


def kept_secret_key(data_dir: Path) -> str:
    """A development key that survives restarts, so that what it signed does too."""
    path = data_dir / "secret_key"
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as file:
        file.write(key := secrets.token_urlsafe(48))
    return key


def cashier_port_file(data_dir: Path) -> Path:
    """Where ``./run serve`` writes down the port of its test cashier."""
    return data_dir / "cashier" / "port"


def cashier_account(secret_key: str, port: int) -> dict[str, str]:
    """What the test cashier on ``port`` is to Lightwell: the settings of a Stripe account, with
    secrets of its own."""
    secret = hashlib.sha256(f"cashier {secret_key}".encode()).hexdigest()
    plans = [(plan, interval) for plan in ("TEAM", "BUSINESS") for interval in ("month", "year")]
    return {
        "stripe_api_base": f"http://127.0.0.1:{port}",
        "stripe_secret_key": f"sk_test_{secret[:32]}",
        "stripe_webhook_secrets": f"whsec_{secret[32:]}",
        "stripe_prices": ",".join(
            f"{plan}/{interval}=price_{plan.lower()}_{interval}" for plan, interval in plans
        ),
    }


def valkey_port_file(data_dir: Path) -> Path:
    """Where ``./run serve`` writes down the port of its Valkey, for ``./run flask`` to find."""
    return data_dir / "valkey" / "port"


def embedded_redis_url(data_dir: Path) -> str:
    """The Valkey of ``./run serve`` on this data folder, else the usual local address."""
    return f"redis://127.0.0.1:{kept_port(valkey_port_file(data_dir)) or 6379}/0"


def kept_port(file: Path) -> int | None:
    """The port that a file names, if it does."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
