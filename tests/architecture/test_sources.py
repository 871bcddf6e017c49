"""Rules about the code itself that lint does not know."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from app.config import Settings
from docs.configuration import table
from tests.conftest import ROOT

SOURCES = sorted((ROOT / "app").rglob("*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_statement_goes_round_the_tenancy_wall(path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert node.attr != "__table__", f"{relative(path)}:{node.lineno} uses Model.__table__"
            assert node.attr != "exec_driver_sql", f"{relative(path)}:{node.lineno} sends SQL past the ORM"
        if isinstance(node, ast.ImportFrom) and node.module == "sqlalchemy":
            assert "text" not in {alias.name for alias in node.names}, f"{relative(path)} imports text()"


def test_services_never_commit() -> None:
    services = list((ROOT / "app" / "services").rglob("*.py"))
    assert services
    for path in services:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("commit", "rollback"), f"{relative(path)}:{node.lineno}"


def test_imports_go_downward() -> None:
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_web_process_loads_no_decoder() -> None:
    code = "import sys, app.factory; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"pyvips", "PIL", "rawpy", "pillow_heif", "numpy", "av", "onnxruntime"}
    assert not heavy & set(loaded.stdout.split())


def test_the_readme_lists_every_setting() -> None:
    readme = (ROOT / "README.md").read_text()
    assert table() in readme, "the README's table is out of date: ./run readme"
    for name in Settings.model_fields:
        assert f"`{name.upper()}`" in table()
