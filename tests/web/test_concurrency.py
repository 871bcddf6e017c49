"""Places among the server's work: half for one, a short wait, and who is turned away."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Overloaded
from app.web.concurrency import ConcurrencyLimiter
from tests.conftest import wait_until

SECONDS = 20


class Crowd:
    """Callers in threads of their own, who stay inside until they are told to go."""

    def __init__(self, limiter: ConcurrencyLimiter) -> None:
        self.limiter = limiter
        self.inside: list[str] = []
        self.refused: list[str] = []
        self._leave: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def come(self, name: str) -> None:
        """``name``'s first letter is the group. Returns when it is known whether it is in, waits or
        is refused."""
        before = self._known()
        self._leave[name] = threading.Event()
        thread = threading.Thread(target=self._visit, args=(name,), daemon=True)
        self._threads.append(thread)
        thread.start()
        wait_until(lambda: self._known() > before, f"{name} to come", SECONDS, pause=0.001)

    def go(self, name: str) -> None:
        self._leave[name].set()
        wait_until(lambda: name not in self.inside, f"{name} to go", SECONDS, pause=0.001)

    def _known(self) -> int:
        """Only grows: who comes is counted once it waits, or has been answered."""
        with self.limiter._lock:
            waiting = len(self.limiter._waiting)
        return (
            waiting
            + len(self.inside)
            + len(self.refused)
            + sum(e.is_set() for e in self._leave.values())
        )

    def _visit(self, name: str) -> None:
        try:
            with self.limiter.admitted(name[0]):
                self.inside.append(name)
                self._leave[name].wait(SECONDS)
            self.inside.remove(name)
        except Overloaded:
            self.refused.append(name)

    def settle(self, inside: str, refused: str = "") -> None:
        wanted = sorted(inside.split()), sorted(refused.split())
        wait_until(
            lambda: (sorted(self.inside), sorted(self.refused)) == wanted,
            f"{wanted}, not {self}",
            SECONDS,
        )

    def __str__(self) -> str:
        return f"{self.inside} inside, {self.refused} refused"

    def end(self) -> None:
        for event in self._leave.values():
            event.set()
        for thread in self._threads:
            thread.join(SECONDS)


@contextmanager
def crowd(places: int, max_wait: float = SECONDS) -> Iterator[Crowd]:
    one = Crowd(ConcurrencyLimiter(places, max_wait))
    try:
        yield one
    finally:
        one.end()
        assert not one.limiter._inside
        assert not one.limiter._waiting


@pytest.mark.parametrize(("places", "most"), [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8)])
def test_one_has_half_of_the_places_and_the_rest_stay_free(places: int, most: int) -> None:
    limiter = ConcurrencyLimiter(places, max_wait=0)
    with ExitStack() as inside:
        for _ in range(most):
            inside.enter_context(limiter.admitted("a"))
        with pytest.raises(Overloaded) as refusal, limiter.admitted("a"):
            pass
        assert int(refusal.value.headers["Retry-After"]) >= 1
        for number in range(places - most):
            inside.enter_context(limiter.admitted(f"b{number}"))
        with pytest.raises(Overloaded), limiter.admitted("new"):
            pass
    with limiter.admitted("a"):
        pass


def test_who_is_let_in_is_told_how_many_seconds_are_left() -> None:
    with ConcurrencyLimiter(1, max_wait=7.0).admitted("a") as left:
        assert 1.4 < left <= 7.0


def test_a_free_place_goes_to_the_group_with_the_fewest_inside() -> None:
    with crowd(4) as one:
        for name in ("a1", "a2", "b1", "b2", "a3", "c1"):
            one.come(name)
        one.settle("a1 a2 b1 b2")
        one.go("a1")
        one.settle("a2 b1 b2 c1")
        one.go("b1")
        one.settle("a2 a3 b2 c1")


def test_one_that_has_its_half_keeps_nobody_out() -> None:
    with crowd(4) as one:
        for name in ("a1", "a2", "a3", "b1", "c1"):
            one.come(name)
        one.settle("a1 a2 b1 c1")
        one.go("b1")
        one.settle("a1 a2 c1")
        one.go("a2")
        one.settle("a1 a3 c1")


def test_past_the_room_for_waiting_the_largest_crowd_s_last_comer_is_turned_away() -> None:
    with crowd(4) as one:
        for name in ("a1", "a2", "b1", "b2", "a3", "a4"):
            one.come(name)
        one.settle("a1 a2 b1 b2")
        one.come("c1")
        one.settle("a1 a2 b1 b2", refused="a4")
        one.come("b3")
        one.settle("a1 a2 b1 b2", refused="a4 b3")
        one.go("b1")
        one.settle("a1 a2 b2 c1", refused="a4 b3")


def test_a_crowd_may_wait_where_others_would_be_and_makes_way_for_them() -> None:
    with crowd(4) as one:
        for name in ("a1", "a2", "a3", "a4", "a5", "a6"):
            one.come(name)
        one.settle("a1 a2")
        one.come("a7")
        one.settle("a1 a2", refused="a7")
        one.come("b1")
        one.settle("a1 a2 b1", refused="a7 a6")
        one.go("a1")
        one.settle("a2 a3 b1", refused="a7 a6")


def test_who_waits_in_vain_is_refused_and_takes_no_place_afterwards() -> None:
    with crowd(2, max_wait=0.05) as one:
        one.come("a1")
        one.come("a2")
        one.settle("a1", refused="a2")
        one.go("a1")
        one.come("a3")
        one.settle("a3", refused="a2")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=30), st.integers(1, 6)
)
def test_no_order_of_coming_and_going_breaks_a_bound(
    steps: list[tuple[str, int]], places: int
) -> None:
    """Without waiting, so that no thread is needed: who comes is in or refused."""
    limiter, inside = ConcurrencyLimiter(places, max_wait=0), list[tuple[str, ExitStack]]()
    for group, choice in steps:
        if choice < 3 and inside:
            inside.pop(choice % len(inside))[1].close()
            continue
        counts = Counter(name for name, _ in inside)
        stay = ExitStack()
        try:
            stay.enter_context(limiter.admitted(group))
        except Overloaded:
            assert counts[group] == limiter.max_per_group or counts.total() == places
        else:
            assert counts[group] < limiter.max_per_group
            assert counts.total() < places
            inside.append((group, stay))
    for _, stay in inside:
        stay.close()
    assert not limiter._inside
    assert not limiter._waiting
