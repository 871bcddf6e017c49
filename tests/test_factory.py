"""What the settings make of the application."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from app.adapters.redis import connection_options
from app.config import Settings
from tests.client import Answer, ApiClient, client_of
from tests.conftest import ROOT, AppMaker


@pytest.fixture(scope="module")
def proxied_app(make_app: AppMaker) -> Flask:
    return make_app(trusted_proxies=1, ratelimit_anonymous="2/minute")


def test_behind_a_proxy_the_client_s_own_address_and_scheme_count(proxied_app: Flask) -> None:
    client = client_of(proxied_app)

    def ask(address: str) -> Answer:
        return client.get(
            "/usage", headers={"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
        )

    assert [ask("203.0.113.5").status_code for _ in range(3)] == [401, 401, 429]
    other = ask("203.0.113.6")
    assert other.status_code == 401
    assert other.json["type"].startswith("https://")
    assert "max-age" in other.headers["Strict-Transport-Security"]


def test_without_a_proxy_its_headers_are_not_believed(client: ApiClient) -> None:
    answer = client.get(
        "/usage", headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    )
    assert answer.json["type"].startswith("http://localhost/")


def test_a_self_signed_redis_is_accepted_only_when_asked(tmp_path: Path) -> None:
    def options(**given: object) -> dict[str, object]:
        settings = Settings.model_validate(
            {"app_env": "development", "data_dir": tmp_path, "redis_url": "rediss://cache", **given}
        )
        return connection_options(settings)

    assert "ssl_cert_reqs" not in options()
    assert options(redis_tls_verify=False)["ssl_cert_reqs"] == "none"
    assert "ssl_cert_reqs" not in options(redis_tls_verify=False, redis_url="redis://cache")


def test_production_logs_json_with_ids_and_without_keys(tmp_path: Path, redis_url: str) -> None:
    """A whole production application in a process of its own: its log lines, and what must not be
    in them."""
    script = """
import sys
from wsgi import app
from flask_migrate import upgrade
from app.services.accounts import keys
with app.app_context():
    upgrade()
client = app.test_client()
account = client.post("/auth/register", json={"email": "log@example.com"}).json
client.get("/usage", headers={"Authorization": "Bearer " + account["apiKey"]})
keys.rotate = lambda *_: 1 / 0
client.post("/auth/rotate-key", headers={"x-api-key": account["apiKey"]})
print(account["apiKey"], account["testApiKey"])
assert app.config["SESSION_COOKIE_SECURE"]
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"SECRET_KEY": "s" * 40, "REDIS_URL": redis_url, "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [line["path"] for line in requests] == ["/auth/register", "/usage", "/auth/rotate-key"]
    assert all(line["request_id"].startswith("req_") for line in requests)
    assert requests[1]["org_id"].startswith("org_")
    assert requests[1]["actor_kind"] == "key"
    assert requests[1]["actor_id"].startswith("key_")
    defect = next(line for line in lines if line["event"] == "defect")
    assert "ZeroDivisionError" in defect["exception"]
    issued = done.stdout.split()
    assert len(issued) == 2
    for key in issued:
        assert key not in done.stderr
        assert key.rpartition("_")[2] not in done.stderr
    assert "s" * 40 not in done.stderr
