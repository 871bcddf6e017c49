"""How a batch is worked: in turns, alive, and given up when the server is at fault."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from app.errors import Overloaded
from app.extensions import transaction
from app.imaging import (
    Format,
    ImagingInterrupted,
    ImagingPool,
    Picture,
    Transform,
    Turn,
    UnreadableImage,
)
from app.services import compress as service
from app.services.accounts import keys
from app.services.accounts.principal import Principal
from app.services.compress import Failure, Result, SourceFile, compress
from app.services.processing_context import ProcessingContext
from app.services.usage import limits, reservations
from tests.clock import Clock
from tests.conftest import AccountMaker

pytestmark = pytest.mark.usefixtures("context")
PICTURE = Picture(Format.JPEG, 1, 1, 1, False, "jpeg", 1)

Script = Callable[["ScriptedPool", Turn[Picture]], object]


class ScriptedPool(ImagingPool):
    """A pool of one process whose files end as the script says."""

    def __init__(self, script: Script) -> None:
        self.processes = 1
        self.script = script
        self.open: list[Turn[Picture]] = []
        self.groups: set[str] = set()
        self.most_open = 0

    def submit(self, source: Path, target: Path, transform: Transform, group: str) -> Turn[Picture]:
        future = Turn[Picture]()
        self.groups.add(group)
        self.open = [other for other in self.open if not other.done()] + [future]
        self.most_open = max(self.most_open, len(self.open))
        self.script(self, future)
        return future


@dataclass(frozen=True)
class Room(ProcessingContext):
    """A context whose pool follows a script."""

    imaging: ScriptedPool


@pytest.fixture
def principal(make_account: AccountMaker, clock: Clock) -> Principal:
    return keys.authenticate(make_account(plan="FREE").key, clock())


@pytest.fixture
def uploads(tmp_path: Path) -> list[SourceFile]:
    made = [SourceFile(f"{number}.jpg", tmp_path / str(number), 1) for number in range(7)]
    for upload in made:
        upload.path.write_bytes(b"x")
    return made


@pytest.fixture
def make_context(clock: Clock, tmp_path: Path) -> Callable[..., Room]:
    """A context whose pool follows a script."""

    def make(script: Script, max_wait: float | None = None) -> Room:
        return Room(cast(Any, None), ScriptedPool(script), clock, tmp_path, max_wait)

    return make


def left(principal: Principal, now: datetime) -> tuple[int, int | None]:
    with transaction(principal.org_id) as session:
        summary = limits.summarise(session, principal, now)
    return summary.used, summary.remaining


def test_a_batch_takes_turns_and_keeps_its_order(
    principal: Principal, uploads: list[SourceFile], clock: Clock, make_context: Callable[..., Room]
) -> None:
    """Two files are in the pool at one time, and the later of the two ends first."""

    def in_pairs_backwards(pool: ScriptedPool, _future: object) -> None:
        if len(pool.open) == 2:
            for future in reversed(pool.open):
                future.set_result(PICTURE)

    room = make_context(in_pairs_backwards)
    batch = compress(principal, uploads[:6], Transform(), room)
    assert [result.upload.name for result in batch.results] == [
        f"{number}.jpg" for number in range(6)
    ]
    assert room.imaging.most_open == 2
    assert room.imaging.groups == {principal.org_id}
    assert left(principal, clock()) == (6, 94)
    assert not [upload for upload in uploads[:6] if upload.path.exists()]


def test_the_outcomes_of_files_stay_apart(
    principal: Principal, uploads: list[SourceFile], clock: Clock, make_context: Callable[..., Room]
) -> None:
    names = iter(range(7))

    def odd_ones_fail(_pool: ScriptedPool, future: Turn[Picture]) -> None:
        if next(names) % 2:
            future.set_exception(UnreadableImage("It is damaged."))
        else:
            future.set_result(PICTURE)

    batch = compress(principal, uploads, Transform(), make_context(odd_ones_fail), partial=True)
    assert all(isinstance(result, Result) for result in batch.results)
    assert [failure.upload.name for failure in batch.failures] == ["1.jpg", "3.jpg", "5.jpg"]
    assert all(isinstance(failure, Failure) for failure in batch.failures)
    assert left(principal, clock()) == (4, 96)


def test_long_work_keeps_its_reservation(
    principal: Principal, uploads: list[SourceFile], clock: Clock, make_context: Callable[..., Room]
) -> None:
    """Seven files of two minutes each outlive the lease of five, while every minute a sweep comes
    by."""

    def slowly(_pool: ScriptedPool, future: Turn[Picture]) -> None:
        clock.advance(minutes=2)
        with transaction(principal.org_id) as session:
            assert reservations.release_expired(session, clock()) == 0
        future.set_result(PICTURE)

    assert len(compress(principal, uploads, Transform(), make_context(slowly)).results) == 7
    assert left(principal, clock()) == (7, 93)


def cancelled(_pool: ScriptedPool, future: Turn[Picture]) -> None:
    future.cancel()
    future.set_running_or_notify_cancel()


def interrupted(_pool: ScriptedPool, future: Turn[Picture]) -> None:
    future.set_exception(ImagingInterrupted("Stopped."))


@pytest.mark.parametrize("max_wait", [None, 5.0])
@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("script", [cancelled, interrupted])
def test_a_stopped_server_is_503_and_free(
    principal: Principal,
    uploads: list[SourceFile],
    clock: Clock,
    make_context: Callable[..., Room],
    script: Script,
    partial: bool,
    max_wait: float | None,
) -> None:
    with pytest.raises(ImagingInterrupted) as refusal:
        compress(principal, uploads, Transform(), make_context(script, max_wait), partial=partial)
    assert refusal.value.status == 503
    assert left(principal, clock()) == (0, 100)


def test_a_stalled_batch_is_given_up_and_its_files_cancelled(
    principal: Principal,
    uploads: list[SourceFile],
    clock: Clock,
    make_context: Callable[..., Room],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(service, "STALLED_AFTER", service.HEARTBEAT * 0)
    room = make_context(lambda *_: None)
    with pytest.raises(Overloaded):
        compress(principal, uploads, Transform(), room)
    assert len(room.imaging.open) == 2
    assert all(turn.cancelled() for turn in room.imaging.open)
    assert left(principal, clock()) == (0, 100)


def test_a_batch_whose_turn_does_not_come_is_503_and_free(
    principal: Principal, uploads: list[SourceFile], clock: Clock, make_context: Callable[..., Room]
) -> None:
    """However patient the work itself would be."""
    room = make_context(lambda *_: None, max_wait=0.01)
    with pytest.raises(Overloaded) as refusal:
        compress(principal, uploads, Transform(), room)
    assert refusal.value.headers["Retry-After"]
    assert len(room.imaging.open) == 2
    assert all(turn.cancelled() for turn in room.imaging.open)
    assert left(principal, clock()) == (0, 100)


def test_a_batch_that_was_begun_is_no_longer_hurried(
    principal: Principal,
    uploads: list[SourceFile],
    clock: Clock,
    make_context: Callable[..., Room],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its first file is at work when the wait ends, and done after that; the second never had
    to hurry."""
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.02)

    def processing(_pool: ScriptedPool, turn: Turn[Picture]) -> None:
        turn.begun = True

    room = make_context(processing, max_wait=0.0)
    extend = reservations.extend
    beats = []

    def heartbeat(*arguments: Any) -> None:
        beats.append(1)
        for turn in room.imaging.open:
            if not turn.done():
                turn.set_result(PICTURE)
        extend(*arguments)

    monkeypatch.setattr(service, "HEARTBEAT", service.HEARTBEAT * 0)
    monkeypatch.setattr(reservations, "extend", heartbeat)
    assert len(compress(principal, uploads[:2], Transform(), room).results) == 2
    assert beats
