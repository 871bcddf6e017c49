"""The mistakes that can be made in a module."""

import ast
import difflib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

from tests.mutation.operators import OURS, Place


@dataclass(frozen=True)
class Mistake:
    """One change to a module's text: the ``occurrence``-th that the operator can make in it."""

    original: str
    operator: Operator
    occurrence: int
    line: int

    @property
    def text(self) -> str:
        return str(mutate_code(self.original, self.operator, self.occurrence))

    def shown(self) -> str:
        lines = difflib.unified_diff(
            self.original.splitlines(), self.text.splitlines(), n=0, lineterm=""
        )
        return "\n".join(
            [
                f"  line {self.line}, {type(self.operator).__name__}",
                *(f"    {one}" for one in list(lines)[3:]),
            ]
        )


def mistakes_in(module: Path) -> list[list[Mistake]]:
    """Those of each place. Types are left alone: nothing but mypy reads them, and broken ones end
    the import."""
    source = module.read_text()
    nodes, types = list(ast_nodes(get_ast(source))), _types(source)
    places: dict[Place, list[Mistake]] = defaultdict(list)
    for operator in _operators():
        positions = (place for node in nodes for place in operator.mutation_positions(node))
        for occurrence, (start, end) in enumerate(positions):
            if not any(first <= start <= last for first, last in types):
                places[start, end].append(Mistake(source, operator, occurrence, start[0]))
    return [places[place] for place in sorted(places)]


def _operators() -> Iterator[Operator]:
    yield from OURS
    for name in operator_names():
        if not (kind := get_operator(name)).arguments():
            yield kind()


def _types(source: str) -> list[Place]:
    """Where annotations stand, as lines and columns."""
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node.returns)
    return [
        ((one.lineno, one.col_offset), (one.end_lineno or 0, one.end_col_offset or 0))
        for one in found
        if one is not None
    ]
