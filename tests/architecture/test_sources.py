"""Rules about the code itself that lint does not know."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.config import Settings
from docs.configuration import ENV_EXAMPLE, env_example, table
from tests.clock import REAL_TIME
from tests.conftest import ROOT

SOURCES = sorted((ROOT / "app").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MACHINE_S_CLOCK = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {
        "time",
        "time_ns",
        "gmtime",
        "localtime",
        "ctime",
        "asctime",
        "strftime",
        "clock_gettime",
    },
}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_statement_goes_round_the_tenancy_wall(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert node.attr != "__table__", f"{relative(path)}:{node.lineno} uses Model.__table__"
            assert node.attr != "exec_driver_sql", (
                f"{relative(path)}:{node.lineno} sends SQL past the ORM"
            )
        if isinstance(node, ast.ImportFrom) and node.module == "sqlalchemy":
            assert "text" not in {alias.name for alias in node.names}, (
                f"{relative(path)} imports text()"
            )


def asks_the_machine(node: ast.AST) -> bool:
    """It reads the date somewhere else than in tests/clock.py."""
    if isinstance(node, ast.Attribute):
        owner = ast.unparse(node.value).rpartition(".")[2]
        return node.attr in MACHINE_S_CLOCK.get(owner, ()) or node.attr == "utc_now"
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names}
        return "utc_now" in names or (
            node.module == "time" and bool(names & MACHINE_S_CLOCK["time"])
        )
    return False


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_tests_have_a_clock_of_their_own(path: Path) -> None:
    if path == ROOT / "tests" / "clock.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.expr | ast.stmt):
            assert not asks_the_machine(node), (
                f"{relative(path)}:{node.lineno}: take the fixture clock, see tests/clock.py"
            )


def test_who_needs_the_real_time_is_named_with_the_reason() -> None:
    definers = {ROOT / "tests" / "clock.py", ROOT / "tests" / "conftest.py", Path(__file__)}
    users = {
        relative(path) for path in TESTS if re.search(r"\breal_(now|time)\b", path.read_text())
    }
    assert users - {relative(path) for path in definers} == set(REAL_TIME)
    assert all(REAL_TIME.values())


@pytest.mark.parametrize(
    ("code", "asks"),
    [
        ("datetime.now(UTC)", True),
        ("datetime.datetime.now()", True),
        ("partial(date.today)", True),
        ("time.time()", True),
        ("from time import time_ns", True),
        ("from app.factory import utc_now", True),
        ("factory.utc_now()", True),
        ("time.monotonic()", False),
        ("life.calendar.now", False),
        ("from datetime import datetime, time", False),
        ("moment.strftime('%Y')", False),
    ],
)
def test_the_machine_s_clock_is_recognised(code: str, asks: bool) -> None:
    assert any(map(asks_the_machine, ast.walk(ast.parse(code)))) is asks


SURFACES = [
    path
    for path in SOURCES
    if path.relative_to(ROOT / "app").parts[0]
    in ("api", "dashboard", "delivery", "docs", "webhooks", "health.py")
]


@pytest.mark.parametrize("path", SURFACES, ids=relative)
def test_surfaces_come_to_a_pool_through_a_limiter_only(path: Path) -> None:
    """``processing`` gives a view its context; the pool for backgrounds is named to it, and to
    nothing else."""
    tree = ast.parse(path.read_text())
    named = {
        id(argument)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "processing"
        for argument in call.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in named:
            assert node.attr not in ("processing_context", "imaging", "background"), (
                f"{relative(path)}:{node.lineno}"
            )


def test_services_never_commit() -> None:
    services = list((ROOT / "app" / "services").rglob("*.py"))
    assert services
    for path in services:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("commit", "rollback"), f"{relative(path)}:{node.lineno}"


def test_imports_go_downward() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_web_process_loads_no_decoder() -> None:
    code = "import sys, app.factory; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"pyvips", "PIL", "rawpy", "pillow_heif", "numpy", "av", "onnxruntime"}
    assert not heavy & set(loaded.stdout.split())


def test_the_readme_lists_every_setting() -> None:
    readme = (ROOT / "README.md").read_text()
    assert table() in readme, "the README's table is out of date: ./run readme"
    for name in Settings.model_fields:
        assert f"`{name.upper()}`" in table()


def test_the_example_of_an_environment_lists_every_setting() -> None:
    assert ENV_EXAMPLE.read_text() == env_example(), ".env.example is out of date: ./run readme"
    lines = {line.removeprefix("#").partition("=")[0] for line in env_example().splitlines()}
    assert {name.upper() for name in Settings.model_fields} <= lines


DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PATH = re.compile(r"`((?!\.\./)(?:[a-z_.]+/)+[A-Za-z0-9_.-]+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_documents_name_files_that_are_there(document: Path) -> None:
    """Decisions may leave out ``app/``, as in ``web/limits.py``. A folder beside the project may be
    missing."""
    named = PATH.findall(document.read_text())
    missing = {
        path for path in named if not any((ROOT / top / path).exists() for top in ("", "app"))
    }
    assert not missing
