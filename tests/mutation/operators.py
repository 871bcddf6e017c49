"""What careless hands leave out: conditions of queries, values of updates, whole statements.

Cosmic Ray changes operators and numbers. Most of what keeps customers apart here are criteria, one
beside the other, so that leaving one out is the mistake to fear.
"""

from collections.abc import Iterator
from typing import Any

from cosmic_ray.operators.operator import Operator
from parso.python.tree import Keyword
from parso.tree import NodeOrLeaf

CALLS = frozenset({"where", "and_", "or_", "values", "filter_by"})
NEEDING_ONE = frozenset({"and_", "or_", "values"})
STATEMENTS = frozenset({"atom_expr", "raise_stmt", "expr_stmt"})
Place = tuple[tuple[int, int], tuple[int, int]]


class Leaving(Operator):  # type: ignore[misc]  # of an untyped library
    """An operator whose ``parts`` of a node can be left out, one at a time."""

    @staticmethod
    def parts(node: Any) -> list[NodeOrLeaf]:
        raise NotImplementedError

    def mutation_positions(self, node: Any) -> Iterator[Place]:
        for part in self.parts(node):
            yield part.start_pos, part.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Without the part, and without the comma or the word between it and its neighbour."""
        part = self.parts(node)[index]
        at = node.children.index(part)
        first = max(at - 1, 0)
        del node.children[first : first + 2]
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


class LeaveArgumentOut(Leaving):
    """``where(a, b)`` → ``where(a)``."""

    @staticmethod
    def parts(node: Any) -> list[NodeOrLeaf]:
        if node.type == "arglist" and (name := _called(node.parent)) in CALLS:
            arguments = [child for child in node.children if child.type != "operator"]
            return arguments if len(arguments) > 1 or name not in NEEDING_ONE else []
        return []


class LeaveOnlyArgumentOut(Leaving):
    """``where(a)`` → ``where()``, which is every row."""

    @staticmethod
    def parts(node: Any) -> list[NodeOrLeaf]:
        alone = (
            node.type == "trailer"
            and len(node.children) == 3
            and node.children[1].type != "arglist"
        )
        return [node.children[1]] if alone and _called(node) in CALLS - NEEDING_ONE else []

    def mutate(self, node: Any, index: int) -> Any:
        del node.children[1]
        return node


class LeaveOperandOut(Leaving):
    """``a and b`` → ``a``."""

    @staticmethod
    def parts(node: Any) -> list[NodeOrLeaf]:
        return list(node.children[::2]) if node.type in ("and_test", "or_test") else []


class LeaveStatementOut(Leaving):
    """A call, a ``raise``, or the assignment of an attribute or an entry → ``pass``. What is only
    logged may go."""

    @staticmethod
    def parts(node: Any) -> list[NodeOrLeaf]:
        if node.type != "simple_stmt" or node.children[0].type not in STATEMENTS:
            return []
        statement = node.children[0]
        target = statement.children[0]
        targets = target.children if target.type == "testlist_star_expr" else [target]
        # A name that is missing is noticed by whatever reads it.
        names = statement.type == "expr_stmt" and any(one.type == "name" for one in targets)
        return (
            []
            if names or statement.get_code(include_prefix=False).startswith("log.")
            else [statement]
        )

    def mutate(self, node: Any, index: int) -> Any:
        statement = node.children[0]
        node.children[0] = Keyword(
            "pass", statement.start_pos, prefix=statement.get_first_leaf().prefix
        )
        return node


def _called(trailer: Any) -> str | None:
    """The name before the brackets of a call."""
    before = (
        trailer.get_previous_sibling()
        if trailer.type == "trailer" and trailer.children[0].value == "("
        else None
    )
    return before.get_last_leaf().value if before is not None else None


OURS: tuple[Operator, ...] = (
    LeaveArgumentOut(),
    LeaveOnlyArgumentOut(),
    LeaveOperandOut(),
    LeaveStatementOut(),
)
