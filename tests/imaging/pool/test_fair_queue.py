"""Who is next: proven on every order in which things can come, go and end."""

import threading
from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from app.imaging.pool.fair_queue import FairQueue

GROUPS = "abcd"
LONGEST = 8
PATIENCE = 20


@dataclass(frozen=True)
class Item:
    group: str
    number: int = 0


def filled(**counts: int) -> FairQueue[Item]:
    queue = FairQueue[Item]()
    for group, count in counts.items():
        for number in range(count):
            queue.put(Item(group, number))
    return queue


def served(queue: FairQueue[Item], times: int, seconds: float = 1.0) -> str:
    """The groups of so many items, worked on one after the other."""
    groups = ""
    for _ in range(times):
        item = queue.take()
        assert item
        queue.done(item, seconds)
        groups += item.group
    return groups


def test_one_group_has_every_taker() -> None:
    queue = filled(a=4)
    assert [queue.take() for _ in range(4)] == [Item("a", number) for number in range(4)]


def test_groups_take_turns_however_much_one_has_sent() -> None:
    assert served(filled(a=9, b=2, c=3), 9) == "bcabcacaa"


def test_takers_are_shared_before_anybody_has_a_second() -> None:
    queue = filled(a=3, b=1)
    assert [item.group for item in (queue.take(), queue.take()) if item] == ["b", "a"]
    queue.put(Item("c"))
    assert [item.group for item in (queue.take(), queue.take()) if item] == ["c", "a"]


def test_who_comes_anew_is_next_when_the_others_have_been_served() -> None:
    queue = filled(a=9, b=9)
    served(queue, 6)
    processing = queue.take()
    queue.put(Item("new"))
    assert processing
    queue.done(processing, 1.0)
    assert queue.take() == Item("new")


def test_short_work_does_not_wait_for_long_work_each_time() -> None:
    """A job of ten seconds is worth ten of one second."""
    queue, order = filled(a=9, b=40), ""
    for _ in range(24):
        item = queue.take()
        assert item
        queue.done(item, 10.0 if item.group == "a" else 1.0)
        order += item.group
    assert "b" * 9 in order
    assert Counter(order) == {"a": 3, "b": 21}


def test_staying_away_a_moment_wins_nothing() -> None:
    """Who always sends one at a time has no more turns than who has all of them wait."""
    queue = filled(steady=20)
    order = Counter[str]()
    for _ in range(20):
        queue.put(Item("single"))
        for _ in range(2):
            item = queue.take()
            assert item
            order[item.group] += 1
            queue.done(item, 1.0)
            if item.group == "single":
                break
    assert abs(order["single"] - order["steady"]) <= 1


def test_when_all_is_quiet_everybody_is_forgiven() -> None:
    queue = filled(a=5)
    served(queue, 5, seconds=100.0)
    queue.put(Item("a"))
    queue.put(Item("b"))
    assert served(queue, 2) == "ab"
    assert not queue._taken


Steps = st.lists(
    st.tuples(st.sampled_from(["put", "take", "done"]), st.integers(0, 99)), max_size=150
)


@given(Steps, st.integers(1, 4))
def test_nothing_is_lost_or_doubled_and_each_group_s_order_is_kept(
    steps: list[tuple[str, int]], takers: int
) -> None:
    queue, processing, sent, taken = FairQueue[Item](), list[Item](), list[Item](), list[Item]()
    waiting = Counter[str]()

    def take() -> None:
        item = queue.take()
        assert item
        busy = Counter(other.group for other in processing)
        assert busy[item.group] <= min(busy[group] for group in waiting if waiting[group])
        waiting[item.group] -= 1
        processing.append(item)
        taken.append(item)

    for number, (step, choice) in enumerate(steps):
        if step == "put":
            item = Item(GROUPS[choice % 4], number)
            queue.put(item)
            sent.append(item)
            waiting[item.group] += 1
        elif step == "take" and waiting.total() and len(processing) < takers:
            take()
        elif step == "done" and processing:
            queue.done(processing.pop(choice % len(processing)), choice / 10)
    while waiting.total() or processing:
        if processing:
            queue.done(processing.pop(), 1.0)
        if waiting.total():
            take()
    for group in GROUPS:
        assert [item for item in taken if item.group == group] == [
            item for item in sent if item.group == group
        ]
    assert not queue._taken
    assert not queue._at_work


@given(
    st.lists(st.integers(0, LONGEST), min_size=20, max_size=60),
    st.integers(0, 12),
    st.integers(2, 4),
)
def test_nobody_starves(seconds: list[int], after: int, groups: int) -> None:
    """With one taker, and all having work: who comes anew is never behind by more than one, the
    longest, piece of work.

    It may be ahead by two: the one that the others were ahead of each other when it came, and its
    own last.
    """
    queue, taken = FairQueue[Item](), Counter[str]()
    for group in GROUPS[1:groups]:
        for _ in range(70):
            queue.put(Item(group))
    for number, length in enumerate(seconds):
        if number == after:
            taken.clear()
            for _ in range(70):
                queue.put(Item("a"))
        item = queue.take()
        assert item
        taken[item.group] += length
        queue.done(item, float(length))
        if number >= after:
            shares = [taken[group] for group in GROUPS[:groups]]
            assert max(shares) - taken["a"] <= LONGEST
            assert taken["a"] - min(shares) <= 2 * LONGEST


def test_takers_wait_for_work_and_end_with_the_queue() -> None:
    queue, got = FairQueue[Item](), list[Item | None]()

    def work() -> None:
        while item := queue.take():
            got.append(item)
            queue.done(item, 0.0)
        got.append(None)

    takers = [threading.Thread(target=work) for _ in range(3)]
    for taker in takers:
        taker.start()
    for number in range(200):
        queue.put(Item(GROUPS[number % 3], number))
    queue.close()
    for taker in takers:
        taker.join(PATIENCE)
        assert not taker.is_alive()
    assert sorted(item.number for item in got if item) == list(range(200))
    assert got.count(None) == 3
