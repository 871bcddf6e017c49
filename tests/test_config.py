"""Settings from the environment."""

from pathlib import Path

import pytest

from app.config import STRIPE, ConfigurationError, Settings
from app.settings_types import PlanPrice

SECRET = "s" * 32
PRODUCTION = {"SECRET_KEY": SECRET, "REDIS_URL": "redis://cache/0"}
ACCOUNT = {
    "STRIPE_SECRET_KEY": "sk_live_hunter2",
    "STRIPE_WEBHOOK_SECRETS": "whsec_hunter2, whsec_old_hunter2",
    "STRIPE_PRICES": "TEAM/month=price_1, "
    "TEAM/year=price_2,BUSINESS/month=price_3,TEAM/month=price_0",
}


def test_production_refuses_to_start_without_a_secret_key() -> None:
    with pytest.raises(ConfigurationError, match="SECRET_KEY: production needs one"):
        Settings.from_env({"REDIS_URL": "redis://cache/0"})
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        Settings.from_env({"REDIS_URL": "redis://cache/0", "SECRET_KEY": "short"})


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Settings.from_env(
            {
                "APP_ENV": "staging",
                "DATABASE_URL": "mysql://db",
                "REDIS_URL": "http://cache",
                "PORT": "eighty",
                "MAX_PIXELS": "0",
                "RATELIMIT_TEST_KEYS": "often",
                "LOG_LEVEL": "loud",
            }
        )
    lines = str(refusal.value).splitlines()[1:]
    named = {line.strip().partition(":")[0] for line in lines}
    assert named == {
        "APP_ENV", "DATABASE_URL", "REDIS_URL", "PORT", "MAX_PIXELS", "RATELIMIT_TEST_KEYS",
        "LOG_LEVEL"
    }  # fmt: skip


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_database_urls_of_platforms_are_understood(scheme: str) -> None:
    settings = Settings.from_env(
        {
            "SECRET_KEY": SECRET,
            "REDIS_URL": "rediss://cache",
            "DATABASE_URL": f"{scheme}://u:p@db/lightwell",
        }
    )
    assert settings.database_url == "postgresql+psycopg://u:p@db/lightwell"


def test_development_makes_a_secret_key_and_keeps_it(tmp_path: Path) -> None:
    environment = {"APP_ENV": "development", "DATA_DIR": str(tmp_path / "new")}
    first, second = Settings.from_env(environment), Settings.from_env(environment)
    assert len(first.secret_key) >= 32
    assert first.secret_key == second.secret_key
    assert (tmp_path / "new" / "secret_key").stat().st_mode & 0o077 == 0


def test_development_falls_back_to_the_usual_redis(tmp_path: Path) -> None:
    settings = Settings.from_env({"APP_ENV": "development", "DATA_DIR": str(tmp_path)})
    assert settings.redis_url == "redis://127.0.0.1:6379/0"


def test_secrets_do_not_show_and_nothing_changes() -> None:
    settings = Settings.from_env(
        {
            "SECRET_KEY": SECRET,
            "REDIS_URL": "redis://:hunter2@cache",
            "DATABASE_URL": "postgres://u:hunter2@db/x",
        }
    )
    assert SECRET not in repr(settings)
    assert "hunter2" not in repr(settings)
    with pytest.raises(ValueError):
        settings.port = 1  # type: ignore[misc]


def test_empty_values_count_as_not_given(tmp_path: Path) -> None:
    settings = Settings.from_env(
        {"APP_ENV": "development", "DATA_DIR": str(tmp_path), "PORT": "", "DATABASE_URL": ""}
    )
    assert settings.port == 8000
    assert settings.database_url.startswith("sqlite:///")


def test_test_origins_are_for_development(tmp_path: Path) -> None:
    origins = {"FETCH_TEST_ORIGINS": "http://127.0.0.1:9999, http://127.0.0.1:9998"}
    chosen = Settings.from_env({"APP_ENV": "development", "DATA_DIR": str(tmp_path), **origins})
    assert chosen.fetch_test_origins == ("http://127.0.0.1:9999", "http://127.0.0.1:9998")
    with pytest.raises(
        ConfigurationError, match="FETCH_TEST_ORIGINS: opens this server's own network"
    ):
        Settings.from_env({"SECRET_KEY": SECRET, "REDIS_URL": "redis://cache/0", **origins})
    with pytest.raises(ConfigurationError, match=r"'127\.0\.0\.1:9999' is no origin"):
        Settings.from_env(
            {
                "APP_ENV": "development",
                "DATA_DIR": str(tmp_path),
                "FETCH_TEST_ORIGINS": "127.0.0.1:9999",
            }
        )


def test_a_provider_needs_a_model() -> None:
    provider = {
        "SECRET_KEY": SECRET,
        "REDIS_URL": "redis://cache/0",
        "PAINTER_BASE_URL": "https://api.example.com/v1",
    }
    with pytest.raises(ConfigurationError, match="PAINTER_MODELS"):
        Settings.from_env(provider)
    assert Settings.from_env({**provider, "PAINTER_MODELS": "fine,fast"}).painter_models == (
        "fine",
        "fast",
    )
    assert Settings.from_env({**provider, "PAINTER_MODELS": "fine,sdxl=a/b"}).painter_models == (
        "fine",
        "sdxl=a/b",
    )
    for wrong in ("=fine", "fine=", "fine,fine=x"):
        with pytest.raises(ConfigurationError, match="PAINTER_MODELS: must be such as"):
            Settings.from_env({**provider, "PAINTER_MODELS": wrong})


def test_a_stripe_account_is_read(tmp_path: Path) -> None:
    environment = {**PRODUCTION, **ACCOUNT, "DATA_DIR": str(tmp_path)}
    settings = Settings.from_env(environment)
    assert settings.stripe_webhook_secrets == ("whsec_hunter2", "whsec_old_hunter2")
    assert settings.stripe_prices == (
        PlanPrice("TEAM", "month", "price_1"),
        PlanPrice("TEAM", "year", "price_2"),
        PlanPrice("BUSINESS", "month", "price_3"),
        PlanPrice("TEAM", "month", "price_0"),
    )
    assert (settings.stripe_api_base, settings.billing_grace_days) == (STRIPE, 7)
    assert "hunter2" not in repr(settings)
    metered = {"STRIPE_METERED_PRICES": "TEAM/month=price_4", "STRIPE_METER_EVENT": "images"}
    assert Settings.from_env({**environment, **metered}).stripe_metered_prices == (
        ("TEAM", "month", "price_4"),
    )


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        (
            {"STRIPE_SECRET_KEY": "sk_live_hunter2"},
            [
                "STRIPE_WEBHOOK_SECRETS: STRIPE_SECRET_KEY needs it",
                "STRIPE_PRICES: STRIPE_SECRET_KEY needs it",
            ],
        ),
        (
            {
                **ACCOUNT,
                "STRIPE_PRICES": "TEAM=price_1",
                "STRIPE_METERED_PRICES": "TEAM/month=price_1",
                "STRIPE_API_BASE": "http://127.0.0.1:9",
                "BILLING_GRACE_DAYS": "-1",
            },
            [
                "STRIPE_PRICES: must be such as TEAM/month=price_1,TEAM/year=price_2",
                "STRIPE_METER_EVENT: STRIPE_METERED_PRICES needs it",
                "STRIPE_API_BASE: sends payments elsewhere: remove it from production",
                "BILLING_GRACE_DAYS: Input should be greater than or equal to 0",
            ],
        ),
        (
            {**ACCOUNT, "STRIPE_PRICES": "TEAM/week=price_1"},
            ["STRIPE_PRICES: must be such as TEAM/month=price_1,"],
        ),
        (
            {"STRIPE_METERED_PRICES": "price_1"},
            ["STRIPE_METERED_PRICES: must be such as TEAM/month=price_1,"],
        ),
        (
            {"STRIPE_API_BASE": "api.stripe.com"},
            ["STRIPE_API_BASE: must begin with https:// or http://"],
        ),
    ],
)
def test_what_is_wrong_with_a_stripe_account_is_named_at_once(
    given: dict[str, str], problems: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Settings.from_env({**PRODUCTION, **given})
    lines = str(refusal.value).splitlines()[1:]
    assert len(lines) == len(problems)
    assert all(
        line.strip().startswith(problem) for line, problem in zip(lines, problems, strict=True)
    )
    assert "hunter2" not in str(refusal.value)


MAIL = {"SMTP_URL": "smtp://light%40well:p%2Fw@mail.example.com:2525", "MAIL_FROM": "a@example.com"}


def test_a_mail_server_is_read() -> None:
    settings = Settings.from_env({**PRODUCTION, **MAIL, "PUBLIC_URL": "https://example.com"})
    assert settings.smtp_url == ("mail.example.com", 2525, "light@well", "p/w", False)
    assert "p/w" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "port", "is_encrypted"),
    [("smtp://mail.example.com", 587, False), ("smtps://mail.example.com/", 465, True)],
)
def test_the_scheme_of_a_mail_server_says_its_port(url: str, port: int, is_encrypted: bool) -> None:
    public = {"PUBLIC_URL": "https://example.com"}
    settings = Settings.from_env({**PRODUCTION, **MAIL, **public, "SMTP_URL": url})
    assert settings.smtp_url == ("mail.example.com", port, "", "", is_encrypted)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"SMTP_URL": "mail.example.com"}, "SMTP_URL: must be such as smtp://"),
        ({"SMTP_URL": "smtp://"}, "SMTP_URL: must be such as smtp://"),
        ({"SMTP_URL": "smtp://mail.example.com:x"}, "SMTP_URL"),
        ({"SMTP_URL": "https://mail.example.com"}, "SMTP_URL: must be such as smtp://"),
        ({"MAIL_FROM": ""}, "MAIL_FROM: SMTP_URL needs it"),
        ({"MAIL_FROM": "Lightwell"}, "MAIL_FROM: must be such as Lightwell <mail@example.com>"),
        ({"PUBLIC_URL": ""}, "SMTP_URL: needs PUBLIC_URL"),
    ],
)
def test_what_mail_needs_is_named(given: dict[str, str], problem: str) -> None:
    public = {"PUBLIC_URL": "https://example.com"}
    with pytest.raises(ConfigurationError, match=problem):
        Settings.from_env({**PRODUCTION, **MAIL, **public, **given})


def test_development_sends_links_to_itself(tmp_path: Path) -> None:
    development = {"APP_ENV": "development", "DATA_DIR": str(tmp_path), "PORT": "8123"}
    assert Settings.from_env({**development, **MAIL}).site == "http://localhost:8123"
