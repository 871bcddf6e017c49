"""Everything that an operator can decide, in one frozen value. Nothing else reads the environment."""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from limits import parse_many
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)


class ConfigurationError(Exception):
    """The environment is unusable. The message names every problem, one a line."""


def _rate_limit(value: str) -> str:
    try:
        parse_many(value)
    except ValueError as error:
        raise ValueError("must be a rate such as '10/minute'") from error
    return value


def _database_url(value: str) -> str:
    """Heroku and Railway hand out ``postgres://``; SQLAlchemy wants the driver named."""
    for scheme in ("postgres://", "postgresql://"):
        if value.startswith(scheme):
            return "postgresql+psycopg://" + value.removeprefix(scheme)
    if value and not value.startswith(("sqlite://", "postgresql+psycopg://")):
        raise ValueError("must begin with sqlite:// or postgres://")
    return value


def _redis_url(value: str) -> str:
    if value and not value.startswith(("redis://", "rediss://")):
        raise ValueError("must begin with redis:// or rediss://")
    return value


def _bucket(value: str) -> str:
    if value and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
        raise ValueError("must be the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens")
    return value


def _http_url(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with https:// or http://")
    if "@" in value:
        raise ValueError("must hold no credentials: they have variables of their own")
    return value.rstrip("/")


def _listed(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Rate = Annotated[str, AfterValidator(_rate_limit)]
Positive = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """The configuration, read once at start-up. Field names in capitals are the environment variables.

    ``app_env`` and ``data_dir`` stand first because the defaults of others follow from them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    app_env: Literal["production", "development"] = Field(
        "production", description="`development` makes a secret key of its own; `./run` sets it."
    )
    data_dir: Annotated[Path, AfterValidator(Path.absolute)] = Field(
        Path("var"), description="Folder for the embedded database, stored files and spooled uploads."
    )
    secret_key: str = Field(
        "", repr=False, description="Signs URLs and sessions. Required in production, 32 characters or more."
    )
    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        "", repr=False, description="`postgres://…` or `sqlite:///…`. Default: SQLite in `DATA_DIR`."
    )
    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field(
        "",
        repr=False,
        description="`redis://…` or `rediss://…`. Required in production; `./run serve` brings its own Valkey.",
    )
    redis_tls_verify: bool = Field(True, description="`false` accepts a self-signed certificate, as on Heroku.")
    s3_bucket: Annotated[str, AfterValidator(_bucket)] = Field(
        "", description="Bucket for stored files, with the usual `AWS_…` credentials. Default: a folder in `DATA_DIR`."
    )
    s3_endpoint_url: Annotated[str, AfterValidator(_http_url)] = Field(
        "", description="`https://…` of an S3-compatible service; empty for AWS itself."
    )
    s3_region: str = Field("us-east-1", description="Region of the bucket.")
    host: str = Field("127.0.0.1", description="Address that the web process listens on.")
    port: int = Field(8000, ge=1, le=65535, description="Port that the web process listens on.")
    trusted_proxies: int = Field(
        0, ge=0, description="Proxies in front that set `X-Forwarded-*`; 1 on Heroku and Railway."
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = Field(
        "INFO", description="Least severe level that is logged."
    )
    web_threads: Positive = Field(32, description="Threads of a web process.")
    client_timeout_seconds: Positive = Field(30, description="Silence after which a client's connection is given up.")
    max_request_mb: Positive = Field(1024, description="Largest request body in MB, whatever the plan allows.")
    compress_concurrency: Positive = Field(
        16, description="Batches and streamed ZIPs a web process works on at one time; past it, 503 with `Retry-After`."
    )
    fetch_concurrency: Positive = Field(
        8, description="Images that a web process fetches, or has painted, at one time; past it, 503."
    )
    imaging_processes: Positive = Field(
        os.cpu_count() or 1, description="Child processes that decode and encode, for each web process."
    )
    imaging_memory_mb: Positive = Field(1536, description="Memory that one image may take in its child process.")
    imaging_cpu_seconds: Positive = Field(10, description="Processor time that one image may take.")
    imaging_wall_seconds: Positive = Field(30, description="Elapsed time that one image may take.")
    max_pixels: Positive = Field(
        100_000_000, description="Most pixels of an image, summed over the frames of an animation."
    )
    max_frames: Positive = Field(1000, description="Most frames of an animation.")
    max_side: Positive = Field(20_000, description="Longest side of an image in pixels.")
    background_weights: Path | None = Field(
        None, description="File of the u2net network for `remove-background`. Default: where `./run models` put it."
    )
    background_memory_mb: Positive = Field(2048, description="Memory that removing one background may take.")
    painter_base_url: Annotated[str, AfterValidator(_http_url)] = Field(
        "", description="OpenAI-compatible images endpoint, such as `https://api.example.com/v1`. Without it, 501."
    )
    painter_api_key: str = Field("", repr=False, description="Key of that endpoint.")
    painter_models: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="Models that may be asked for, by commas; the first is the default."
    )
    fetch_test_origins: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="`http://127.0.0.1:9999,…`: origins that may be fetched from in development, whatever they are."
    )
    ratelimit_test_keys: Rate = Field("10/minute", description="Requests with a test key, on any plan.")
    ratelimit_anonymous: Rate = Field("300/minute", description="Requests without a valid key, for each address.")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from ``environ`` (the process environment by default).

        Raises ConfigurationError that lists all problems at once.
        """
        source = os.environ if environ is None else environ
        try:
            return cls.model_validate(
                {name: source[name.upper()] for name in cls.model_fields if source.get(name.upper())}
            )
        except ValidationError as error:
            problems = [
                f"  {problem['loc'][0]!s:}".upper() + f": {problem['msg'].removeprefix('Value error, ')}"
                for problem in error.errors()
            ]
            raise ConfigurationError("The configuration has problems:\n" + "\n".join(problems)) from None

    @field_validator("secret_key")
    @classmethod
    def _require_or_keep_secret(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("app_env") == "production" and len(value) < 32:
            raise ValueError("production needs one of 32 characters or more: openssl rand -base64 48")
        return value or kept_secret_key(info.data["data_dir"])

    @field_validator("redis_url")
    @classmethod
    def _require_or_find_redis(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("app_env") == "production" and not value:
            raise ValueError("production needs one: redis://… or rediss://…")
        return value or embedded_redis_url(info.data["data_dir"])

    @field_validator("s3_endpoint_url")
    @classmethod
    def _require_bucket(cls, value: str, info: ValidationInfo) -> str:
        if value and info.data.get("s3_bucket") == "":
            raise ValueError("needs S3_BUCKET, the bucket to use there")
        return value

    @field_validator("painter_models")
    @classmethod
    def _require_a_model(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("painter_base_url") and not value:
            raise ValueError("PAINTER_BASE_URL needs at least one model")
        return value

    @field_validator("fetch_test_origins")
    @classmethod
    def _never_in_production(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and info.data.get("app_env") == "production":
            raise ValueError("opens this server's own network to every customer: remove it from production")
        if wrong := [origin for origin in value if not re.fullmatch(r"https?://[\w.\[\]:-]+", origin)]:
            raise ValueError(f"{wrong[0]!r} is no origin: http:// or https://, a host, and a port")
        return value

    @field_validator("database_url")
    @classmethod
    def _default_to_sqlite(cls, value: str, info: ValidationInfo) -> str:
        return value or f"sqlite:///{info.data['data_dir'] / 'lightwell.sqlite3'}"

    @property
    def weights(self) -> Path:
        """Where the network is that tells subjects from backgrounds, if it is there."""
        return self.background_weights or self.data_dir / "models" / "u2net.onnx"

    @property
    def spool_dir(self) -> Path:
        """Uploads and results of requests that are being answered."""
        return self.data_dir / "spool"

    @property
    def storage_dir(self) -> Path:
        """Stored objects, where no object store is configured."""
        return self.data_dir / "storage"


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


def valkey_port_file(data_dir: Path) -> Path:
    """Where ``./run serve`` writes down the port of its Valkey, for ``./run flask`` to find."""
    return data_dir / "valkey" / "port"


def embedded_redis_url(data_dir: Path) -> str:
    """The Valkey of ``./run serve`` on this data folder, else the usual local address."""
    try:
        return f"redis://127.0.0.1:{int(valkey_port_file(data_dir).read_text())}/0"
    except (OSError, ValueError):
        return "redis://127.0.0.1:6379/0"
