"""The mistakes themselves: what may be left out is, once each, and what is left still is Python."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.mutation.mistakes import mistakes_in
from tests.mutation.operators import OURS
from tests.mutation.trial import TESTS, suite_of


def mistakes(tmp_path: Path, code: str) -> set[str]:
    """All texts that our own operators make of a code."""
    path = tmp_path / "module.py"
    path.write_text(code)
    return {one.text for place in mistakes_in(path) for one in place if one.operator in OURS}


def plain(text: str) -> str:
    return ast.unparse(ast.parse(text))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = q.where(a == 1, b)", {"x = q.where(b)", "x = q.where(a == 1)"}),
        ("x = q.where(a)", {"x = q.where()"}),
        ("x = and_(a, b, c)", {"x = and_(b, c)", "x = and_(a, c)", "x = and_(a, b)"}),
        ("x = or_(a)", set()),
        ("x = q.values(a=1, b=2)", {"x = q.values(b=2)", "x = q.values(a=1)"}),
        ("x = f(a, b)", set()),
        ("x = a and b", {"x = b", "x = a"}),
        ("x = a or b or c", {"x = b or c", "x = a or c", "x = a or b"}),
        ("f(a, b)", {"pass"}),
        ("raise E", {"pass"}),
        ("row.a = 1", {"pass"}),
        ("row['a'] = 1", {"pass"}),
        ("row.a, row.b = 1, 2", {"pass"}),
        ("a = 1", set()),
        ("a, b = 1, 2", set()),
        ("log.warning('x')", set()),
        ("def f(a: X or Y = 1) -> a or b:\n    return a", set()),
    ],
)
def test_each_part_is_left_out_once(tmp_path: Path, code: str, expected: set[str]) -> None:
    assert {plain(text) for text in mistakes(tmp_path, f"{code}\n")} == {
        plain(text) for text in expected
    }


def test_places_are_drawn_once_and_types_never(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f(a: int | None) -> int | None:\n    return a if a == 5 else None\n")
    places = mistakes_in(path)
    assert {mistake.line for place in places for mistake in place} == {2}
    for place in places:
        assert all(mistake.text != mistake.original for mistake in place)
        for mistake in place:
            ast.parse(mistake.text)


def test_the_table_names_files_that_are_there() -> None:
    named = [*TESTS, *(test for tests in TESTS.values() for test in tests)]
    assert not [path for path in named if not (ROOT / path).is_file()]
    delivery = {
        str(path.relative_to(ROOT)) for path in (ROOT / "app" / "delivery").glob("[!_]*.py")
    }
    assert delivery
    assert delivery <= set(TESTS)


def test_modules_beside_the_table_have_the_suite_of_their_name() -> None:
    assert suite_of("app/tenancy.py") == ("tests/architecture/test_isolation.py",)
    assert suite_of("app/services/sweep.py") == ["tests/services/test_sweep.py"]
    assert suite_of("dev/stripe/state.py") == ["tests/dev/stripe/test_state.py"]
    assert not suite_of("app/factory_of_nothing.py")
