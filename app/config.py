"""All settings, in one frozen value. No other module reads the environment."""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

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

from app.settings_types import (
    Bucket,
    DatabaseUrl,
    HttpUrl,
    MailServer,
    Models,
    Networks,
    PlanPrices,
    Positive,
    Rate,
    RedisUrl,
    Sender,
    Server,
    Texts,
)


class ConfigurationError(Exception):
    """The environment is invalid. The message lists all problems, one per line."""


STRIPE = "https://api.stripe.com"
TEST_IMAGES_PER_DAY = 500
NEEDED = {
    "painter_models": ("painter_base_url", "at least one model"),
    "stripe_webhook_secrets": ("stripe_secret_key", "it"),
    "stripe_prices": ("stripe_secret_key", "it"),
    "mail_from": ("smtp_url", "it"),
    "stripe_meter_event": ("stripe_metered_prices", "it"),
}
"""Settings that must not be empty where another is given, and what that one needs of them."""
T = TypeVar("T")


def kept_secret_key(data_dir: Path) -> str:
    """Return a development key that survives restarts, so that sessions and URLs signed with it
    stay valid."""
    path = data_dir / "secret_key"
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as file:
        file.write(key := secrets.token_urlsafe(48))
    return key


class Settings(BaseModel):
    """The configuration, read once at start-up. Field names in capitals are the environment
    variables.

    ``app_env`` and ``data_dir`` stand first because the defaults of others follow from them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    app_env: Literal["production", "development"] = Field(
        "production", description="`development` makes a secret key of its own; `./run` sets it."
    )
    data_dir: Annotated[Path, AfterValidator(Path.absolute)] = Field(
        Path("var"),
        description="Folder for the embedded database, stored files and spooled uploads.",
    )
    secret_key: str = Field(
        "",
        repr=False,
        description="Signs URLs and sessions. Required in production, 32 characters or more.",
    )
    database_url: DatabaseUrl = Field(
        "",
        repr=False,
        description="`postgres://…` or `sqlite:///…`. Default: SQLite in `DATA_DIR`.",
    )
    redis_url: RedisUrl = Field(
        "",
        repr=False,
        description="`redis://…` or `rediss://…`. Required in production; `./run serve` brings its "
        "own Valkey.",
    )
    redis_tls_verify: bool = Field(
        True, description="`false` accepts a self-signed certificate, as on Heroku."
    )
    s3_bucket: Bucket = Field(
        "",
        description="Bucket for stored files, with the usual `AWS_…` credentials. Default: a "
        "folder in `DATA_DIR`.",
    )
    s3_endpoint_url: HttpUrl = Field(
        "", description="`https://…` of an S3-compatible service; empty for AWS itself."
    )
    s3_region: str = Field("us-east-1", description="Region of the bucket.")
    host: str = Field("127.0.0.1", description="Address that the web process listens on.")
    port: int = Field(8000, ge=1, le=65535, description="Port that the web process listens on.")
    trusted_proxies: int = Field(
        0, ge=0, description="Proxies in front that set `X-Forwarded-*`; 1 on Heroku and Railway."
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)
    ] = Field("INFO", description="Least severe level that is logged.")
    web_threads: Positive = Field(
        32,
        description="Threads of a web process for what works on images or waits for other servers; "
        "half as many more are kept for everything else.",
    )
    public_url: HttpUrl = Field(
        "",
        description="`https://…` under which people reach the service; links in mails begin with "
        "it, and passkeys belong to its host. Default in development: `http://localhost:PORT`.",
    )
    smtp_url: Server = Field(
        None,
        repr=False,
        description="`smtp://user:password@host:587` or `smtps://…:465`, percent-encoded. Without "
        "it no mail is sent; in development mails are read at `/dev/mail`.",
    )
    mail_from: Sender = Field(
        "", description="Sender of mails, such as `Lightwell <mail@example.com>`."
    )
    client_timeout_seconds: Positive = Field(
        30,
        description="Seconds that a client may be silent, take for its headers, or take to read 64 "
        "kB, before its connection is given up.",
    )
    connections_per_address: Positive = Field(
        6000,
        description="Connections that a web process holds for one client address. Without effect "
        "behind `TRUSTED_PROXIES`, from whose address all connections come.",
    )
    max_request_mb: Positive = Field(
        1024, description="Largest request body in MB, whatever the plan allows."
    )
    spool_mb: Positive = Field(
        8192,
        description="MB that a web process takes in for requests that are not complete or not "
        "answered; past it, 503.",
    )
    compress_concurrency: Positive = Field(
        16,
        description="Requests for work on images that a web process takes on at one time, half of "
        "them for one organization; as many ZIPs are sent. More wait up to 5 s, then 503 with "
        "`Retry-After`.",
    )
    fetch_concurrency: Positive = Field(
        8,
        description="Requests that wait for another server (images fetched or painted, payments) "
        "at one time; half of them for one organization, as above.",
    )
    imaging_processes: Positive = Field(
        os.cpu_count() or 1,
        description="Child processes that decode and encode, for each web process.",
    )
    imaging_memory_mb: Positive = Field(
        2048, description="Memory that one image may take in its child process."
    )
    imaging_cpu_seconds: Positive = Field(10, description="Processor time that one image may take.")
    imaging_wall_seconds: Positive = Field(30, description="Elapsed time that one image may take.")
    max_pixels: Positive = Field(
        100_000_000, description="Most pixels of an image, summed over the frames of an animation."
    )
    max_frames: Positive = Field(1000, description="Most frames of an animation.")
    max_side: Positive = Field(20_000, description="Longest side of an image in pixels.")
    background_weights: Path | None = Field(
        None,
        description="File of the u2net network for `remove-background`. Default: where `./run "
        "models` put it.",
    )
    background_memory_mb: Positive = Field(
        2048, description="Memory that removing one background may take."
    )
    painter_base_url: HttpUrl = Field(
        "",
        description="OpenAI-compatible images endpoint, such as `https://api.example.com/v1`. "
        "Without it, 501.",
    )
    painter_api_key: str = Field("", repr=False, description="Key of that endpoint.")
    painter_models: Models = Field(
        (),
        description="Models that may be asked for, by commas, as `name` or `alias=name`; the first "
        "is the default. `sdxl` and `flux` stand for it too, unless they are names of others.",
    )
    fetch_test_origins: Texts = Field(
        (),
        description="`http://127.0.0.1:9999,…`: origins that may be fetched from in development, "
        "whatever they are.",
    )
    contact_email: str = Field(
        "",
        pattern=r"^([^@\s]+@[^@\s]+)?$",
        description="Where customers write to about a plan by contract. Pages show it.",
    )
    stripe_secret_key: str = Field(
        "",
        repr=False,
        description="Key of the Stripe account. Without it payments are 501; `./run serve` brings "
        "a fake Stripe.",
    )
    stripe_webhook_secrets: Texts = Field(
        (),
        repr=False,
        description="`whsec_…` of the endpoint `/webhooks/stripe`, by commas while they are "
        "rotated.",
    )
    stripe_prices: PlanPrices = Field(
        (),
        description="`TEAM/month=price_…,TEAM/year=price_…`: what each price stands for. The first "
        "of a plan and interval is sold, the others hold for those who bought them.",
    )
    stripe_metered_prices: PlanPrices = Field(
        (),
        description="Written the same way: metered prices that are sold with, or instead of, the "
        "others.",
    )
    stripe_meter_event: str = Field(
        "",
        description="`event_name` of the Stripe meter that counts live images of plans with a "
        "metered price.",
    )
    stripe_api_base: HttpUrl = Field(
        STRIPE, description="Where Stripe is; another address only in development."
    )
    billing_grace_days: int = Field(
        7,
        ge=0,
        le=90,
        description="Days that a plan goes on after a payment failed; then the workspace is on "
        "FREE.",
    )
    admin_networks: Networks = Field(
        (),
        description="Networks that staff may come from, such as `203.0.113.0/24,2001:db8::/32`. "
        "Default: from everywhere.",
    )
    metrics_token: str = Field(
        "",
        repr=False,
        pattern=r"^([\x21-\x7e]{16,})?$",
        description="`Authorization: Bearer …` for `/metrics`, 16 characters or more. Without it "
        "and `METRICS_NETWORKS`, 404.",
    )
    metrics_networks: Networks = Field(
        (), description="Networks that may read `/metrics` without the token."
    )
    ratelimit_test_keys: Rate = Field(
        "10/minute",
        description="Requests with a test key, on any plan; five times as many for an "
        "organization's together.",
    )
    test_images_per_day: Positive = Field(
        TEST_IMAGES_PER_DAY,
        description="Images that an organization's test keys make in a day (UTC), on any plan.",
    )
    ratelimit_anonymous: Rate = Field(
        "300/minute",
        description="Requests without a valid key, for each address; in IPv6 for each /64.",
    )
    ratelimit_registrations: Rate = Field(
        "10/hour;20/day",
        description="Attempts to open an account, for each network: /24 in IPv4, /64 in IPv6.",
    )
    ratelimit_server_registrations: Rate = Field(
        "5000/day",
        description="The same for all networks together. Past it, the log says "
        "`registrations.server_limit`.",
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from ``environ`` (the process environment by default).

        Raises ConfigurationError that lists all problems at once.
        """
        source = os.environ if environ is None else environ
        given = {
            name: source[name.upper()] for name in cls.model_fields if source.get(name.upper())
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            problems = [
                f"  {problem['loc'][0]!s:}".upper()
                + f": {problem['msg'].removeprefix('Value error, ')}"
                for problem in error.errors()
            ]
            raise ConfigurationError(
                "The configuration has problems:\n" + "\n".join(problems)
            ) from None

    @field_validator("secret_key")
    @classmethod
    def _require_or_keep_secret(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("app_env") == "production" and len(value) < 32:
            raise ValueError(
                "production needs one of 32 characters or more: openssl rand -base64 48"
            )
        return value or kept_secret_key(info.data["data_dir"])

    @field_validator("redis_url")
    @classmethod
    def _require_redis(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("app_env") == "production" and not value:
            raise ValueError("production needs one: redis://… or rediss://…")
        return value or "redis://127.0.0.1:6379/0"

    @field_validator("s3_endpoint_url")
    @classmethod
    def _require_bucket(cls, value: str, info: ValidationInfo) -> str:
        if value and info.data.get("s3_bucket") == "":
            raise ValueError("needs S3_BUCKET, the bucket to use there")
        return value

    @field_validator(*NEEDED)
    @classmethod
    def _require_what_is_needed(cls, value: T, info: ValidationInfo) -> T:
        setting, what = NEEDED[info.field_name or ""]
        if info.data.get(setting) and not value:
            raise ValueError(f"{setting.upper()} needs {what}")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _require_public_url(cls, value: MailServer | None, info: ValidationInfo) -> object:
        lacks_url = info.data.get("public_url") == ""
        if value and lacks_url and info.data.get("app_env") == "production":
            raise ValueError("needs PUBLIC_URL, which links in mails begin with")
        return value

    @field_validator("fetch_test_origins")
    @classmethod
    def _never_in_production(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and info.data.get("app_env") == "production":
            raise ValueError(
                "opens this server's own network to every customer: remove it from production"
            )
        if wrong := [
            origin for origin in value if not re.fullmatch(r"https?://[\w.\[\]:-]+", origin)
        ]:
            raise ValueError(f"{wrong[0]!r} is no origin: http:// or https://, a host, and a port")
        return value

    @field_validator("stripe_api_base")
    @classmethod
    def _real_in_production(cls, value: str, info: ValidationInfo) -> str:
        if value != STRIPE and info.data.get("app_env") == "production":
            raise ValueError("sends payments elsewhere: remove it from production")
        return value

    @field_validator("database_url")
    @classmethod
    def _default_to_sqlite(cls, value: str, info: ValidationInfo) -> str:
        return value or f"sqlite:///{info.data['data_dir'] / 'lightwell.sqlite3'}"

    @property
    def site(self) -> str:
        """The address that links in mails begin with, without a slash at the end."""
        return self.public_url or f"http://localhost:{self.port}"

    @property
    def weights(self) -> Path:
        """The file of the network that separates subjects from backgrounds; it may be missing."""
        return self.background_weights or self.data_dir / "models" / "u2net.onnx"

    @property
    def spool_dir(self) -> Path:
        """Folder of uploads and results of running requests."""
        return self.data_dir / "spool"

    @property
    def storage_dir(self) -> Path:
        """Folder of stored objects if no object store is configured."""
        return self.data_dir / "storage"
