"""``create_app``: builds the application from all its parts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from flask_cors import CORS
from flask_openapi import Info, OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

from app import admin, api, cli, dashboard, docs, health, logs, mailbox, monitoring, web
from app.adapters.fetching.fetcher import Fetcher
from app.adapters.mail import Mailer, SmtpMailer
from app.adapters.painter import Painter
from app.adapters.payments.stripe import StripePayments
from app.adapters.redis import connect
from app.adapters.storage.interface import Storage
from app.adapters.storage.local import LocalStorage
from app.adapters.storage.s3 import S3Storage
from app.config import Settings
from app.delivery import published
from app.delivery import storage as delivery
from app.extensions import db, migrate
from app.imaging import ImagingPool, Limits
from app.services.accounts.principal import MEGABYTE
from app.services.billing.prices import Prices
from app.services.billing.provider import Provider
from app.web.concurrency import ConcurrencyLimiter
from app.web.context import Container
from app.web.described import DescribedApp
from app.web.errors import ErrorBody, invalid_request
from app.web.paths import PlainPaths
from app.web.request import JSON_BYTES, OTHER_FIELDS, ApiRequest
from app.webhooks import stripe as stripe_webhook

ROOT = Path(__file__).resolve().parent.parent
DESCRIPTION = """
Image compression and asset management over HTTP. Open an account with `POST /auth/register`, send
the key you get as `Authorization: Bearer <key>` or `x-api-key: <key>`, and compress JPEG, PNG,
WebP, GIF, HEIC, AVIF, TIFF, BMP and camera RAW with `POST /compress/batch`.

`/v1/images` makes images of files, URLs and prompts, and new ones of those: resized, cropped,
rotated, watermarked, without their background, or all of it in one chain; it publishes them under
URLs that need no key.

A team's library is below `/api/v1`: upload images and videos in two steps, sort them into
collections, get signed URLs of transformed copies, export many as a ZIP.

A test key works like the live one, makes 500 images a day unless the operator says otherwise,
counts nothing, and puts a watermark on what it makes. Every answer tells in `RateLimit` what is
left of the [rate limit](/plans) that is nearest to refusing; every refusal has the same
body, explained under [errors](/docs/errors). All of it is a [Postman
collection](/docs/postman.json) too.
"""
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer <key>`"},
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "`x-api-key: <key>`",
    },
}
API_PATHS = r"^/(auth|compress|usage|billing|v1|api/v1|storage|published|openapi\.json)(/.*)?$"

MAX_PAINTING_BYTES = 50 * MEGABYTE
BACKGROUND = {"cpu_seconds": 60, "wall_seconds": 90}
"""Limits for finding one image's subject, including loading the network."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings, clock: Callable[[], datetime] = utc_now) -> OpenAPI:
    """Build the WSGI application. Cheap: connections and child processes start at their first
    use."""
    app = _described_app()
    _configure(app, settings)
    logs.configure(settings)
    app.extensions["lightwell"] = _container(settings, clock)
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))
    _add_surfaces(app, settings)
    # Flask documents wsgi_app as the place for middleware, but types it as a method.
    app.wsgi_app = PlainPaths(app.wsgi_app)  # type: ignore[method-assign]
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _described_app() -> OpenAPI:
    """An application without views that knows how it is described in OpenAPI."""
    app = DescribedApp(
        "app",
        info=Info(title="Lightwell", version="1.0.0", description=DESCRIPTION),
        security_schemes=SECURITY_SCHEMES,  # type: ignore[arg-type]  # plain dicts are what the library parses
        validation_error_status=400,
        validation_error_model=ErrorBody,
        validation_error_callback=invalid_request,
        doc_ui=False,
        root_path=str(ROOT),
        template_folder="templates",
        static_folder=None,
    )
    app.openapi_version = "3.1.0"
    return app


def _configure(app: OpenAPI, settings: Settings) -> None:
    app.request_class = ApiRequest
    # PlainPaths normalises paths without redirects.
    app.url_map.merge_slashes = app.url_map.strict_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=_engine_options(settings),
        MAX_CONTENT_LENGTH=JSON_BYTES,
        MAX_FORM_MEMORY_SIZE=JSON_BYTES,
        MAX_FORM_PARTS=OTHER_FIELDS,
    )


def _add_surfaces(app: OpenAPI, settings: Settings) -> None:
    CORS(
        app,
        resources={API_PATHS: {"origins": "*"}},
        send_wildcard=True,
        max_age=86400,
        expose_headers="*",
    )
    web.init_app(app)
    api.init_app(app)
    for surface in (
        delivery,
        published,
        stripe_webhook,
        dashboard,
        admin,
        docs,
        health,
        monitoring,
    ):
        app.register_blueprint(surface.blueprint)
    if settings.app_env == "development" and settings.smtp_url is None:
        app.register_blueprint(mailbox.blueprint)
    cli.init_app(app)


def _engine_options(settings: Settings) -> dict[str, object]:
    """Connections are held for short transactions only, so a few serve many threads. Errors do not
    tell the parameters of their statement, because errors are logged and parameters hold secrets,
    such as the links in mails."""
    options: dict[str, object] = {
        "hide_parameters": True,
        "pool_size": 8,
        "max_overflow": settings.web_threads,
        "pool_timeout": 5,
    }
    if settings.database_url.startswith("postgresql"):
        # A prepared statement may get one plan for all parameters, which suits hardly any list of
        # assets.
        options |= {
            "pool_pre_ping": True,
            "connect_args": {"connect_timeout": 5, "prepare_threshold": None},
        }
    return options


def _storage(settings: Settings) -> Storage:
    if settings.s3_bucket:
        return S3Storage(settings.s3_bucket, settings.s3_endpoint_url or None, settings.s3_region)
    return LocalStorage(settings.storage_dir, settings.secret_key)


def _fetcher(settings: Settings) -> Fetcher:
    own_host = urlsplit(settings.s3_endpoint_url).hostname
    return Fetcher(
        own_hosts=[own_host] if own_host else [], trusted_origins=settings.fetch_test_origins
    )


def _painter(settings: Settings) -> Painter | None:
    """Return the image provider's client, if one is configured. Its answers may contain URLs of any
    public host or its own."""
    if not settings.painter_base_url:
        return None
    own = urlsplit(settings.painter_base_url)
    fetcher = Fetcher(
        trusted_origins=[f"{own.scheme}://{own.netloc}", *settings.fetch_test_origins]
    )

    def fetch(url: str, target: Path) -> None:
        fetcher.fetch(url, target, most_bytes=MAX_PAINTING_BYTES, any_host=True)

    return Painter(
        settings.painter_base_url, settings.painter_api_key, settings.painter_models, fetch
    )


def _provider(settings: Settings, clock: Callable[[], datetime]) -> Provider | None:
    if not settings.stripe_secret_key:
        return None
    return Provider(
        payments=StripePayments(
            settings.stripe_secret_key, settings.stripe_webhook_secrets, settings.stripe_api_base
        ),
        prices=Prices(settings.stripe_prices, settings.stripe_metered_prices),
        grace=timedelta(days=settings.billing_grace_days),
        meter=settings.stripe_meter_event,
        site=settings.site,
        clock=clock,
    )


def _mailer(settings: Settings) -> Mailer | None:
    if settings.smtp_url is None:
        return None
    name, address = parseaddr(settings.mail_from)
    return SmtpMailer(settings.smtp_url, Address(display_name=name, addr_spec=address))


def _container(settings: Settings, clock: Callable[[], datetime]) -> Container:
    limits = Limits(
        max_pixels=settings.max_pixels,
        max_frames=settings.max_frames,
        max_side=settings.max_side,
        cpu_seconds=settings.imaging_cpu_seconds,
        wall_seconds=settings.imaging_wall_seconds,
        memory_bytes=settings.imaging_memory_mb * MEGABYTE,
    )
    return Container(
        settings=settings,
        clock=clock,
        storage=_storage(settings),
        redis=connect(settings),
        image_work=ConcurrencyLimiter(settings.compress_concurrency),
        outbound_calls=ConcurrencyLimiter(settings.fetch_concurrency),
        zip_streams=ConcurrencyLimiter(settings.compress_concurrency),
        imaging=ImagingPool(settings.imaging_processes, limits),
        background=ImagingPool(
            1, replace(limits, **BACKGROUND, memory_bytes=settings.background_memory_mb * MEGABYTE)
        ),
        fetcher=_fetcher(settings),
        painter=_painter(settings),
        provider=_provider(settings, clock),
        mailer=_mailer(settings),
    )
