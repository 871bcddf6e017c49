"""Settings from the environment."""

import pytest

from app.config import ConfigurationError, Settings, valkey_port_file

SECRET = "s" * 32


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
        "APP_ENV", "DATABASE_URL", "REDIS_URL", "PORT", "MAX_PIXELS", "RATELIMIT_TEST_KEYS", "LOG_LEVEL"
    }  # fmt: skip


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_database_urls_of_platforms_are_understood(scheme) -> None:
    settings = Settings.from_env(
        {"SECRET_KEY": SECRET, "REDIS_URL": "rediss://cache", "DATABASE_URL": f"{scheme}://u:p@db/lightwell"}
    )
    assert settings.database_url == "postgresql+psycopg://u:p@db/lightwell"


def test_development_makes_a_secret_key_and_keeps_it(tmp_path) -> None:
    environment = {"APP_ENV": "development", "DATA_DIR": str(tmp_path / "new")}
    first, second = Settings.from_env(environment), Settings.from_env(environment)
    assert len(first.secret_key) >= 32
    assert first.secret_key == second.secret_key
    assert (tmp_path / "new" / "secret_key").stat().st_mode & 0o077 == 0


def test_development_finds_the_valkey_of_serve(tmp_path) -> None:
    environment = {"APP_ENV": "development", "DATA_DIR": str(tmp_path)}
    assert Settings.from_env(environment).redis_url == "redis://127.0.0.1:6379/0"
    valkey_port_file(tmp_path).parent.mkdir()
    valkey_port_file(tmp_path).write_text("7001")
    assert Settings.from_env(environment).redis_url == "redis://127.0.0.1:7001/0"


def test_secrets_do_not_show_and_nothing_changes() -> None:
    settings = Settings.from_env(
        {"SECRET_KEY": SECRET, "REDIS_URL": "redis://:hunter2@cache", "DATABASE_URL": "postgres://u:hunter2@db/x"}
    )
    assert SECRET not in repr(settings)
    assert "hunter2" not in repr(settings)
    with pytest.raises(ValueError):
        settings.port = 1


def test_empty_values_count_as_not_given(tmp_path) -> None:
    settings = Settings.from_env({"APP_ENV": "development", "DATA_DIR": str(tmp_path), "PORT": "", "DATABASE_URL": ""})
    assert settings.port == 8000
    assert settings.database_url.startswith("sqlite:///")


def test_test_origins_are_for_development() -> None:
    origins = {"FETCH_TEST_ORIGINS": "http://127.0.0.1:9999, http://127.0.0.1:9998"}
    chosen = Settings.from_env({"APP_ENV": "development", "DATA_DIR": "/tmp", **origins})
    assert chosen.fetch_test_origins == ("http://127.0.0.1:9999", "http://127.0.0.1:9998")
    with pytest.raises(ConfigurationError, match="FETCH_TEST_ORIGINS: opens this server's own network"):
        Settings.from_env({"SECRET_KEY": SECRET, "REDIS_URL": "redis://cache/0", **origins})
    with pytest.raises(ConfigurationError, match=r"'127\.0\.0\.1:9999' is no origin"):
        Settings.from_env({"APP_ENV": "development", "DATA_DIR": "/tmp", "FETCH_TEST_ORIGINS": "127.0.0.1:9999"})


def test_a_provider_needs_a_model() -> None:
    provider = {"SECRET_KEY": SECRET, "REDIS_URL": "redis://cache/0", "PAINTER_BASE_URL": "https://api.example.com/v1"}
    with pytest.raises(ConfigurationError, match="PAINTER_MODELS"):
        Settings.from_env(provider)
    assert Settings.from_env({**provider, "PAINTER_MODELS": "fine,fast"}).painter_models == ("fine", "fast")
