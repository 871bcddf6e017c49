"""Waiting for work: for its turn with a limit, for its end without."""

from typing import Any, cast

import pytest

from app.errors import Overloaded
from app.imaging import ImagingInterrupted, Turn
from app.services import processing_context
from app.services.processing_context import ProcessingContext


def context_with(max_wait: float | None) -> ProcessingContext:
    nothing = cast(Any, None)
    return ProcessingContext(nothing, nothing, nothing, nothing, max_wait=max_wait)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processing_context, "HEARTBEAT_SECONDS", 0.01)


def test_work_whose_turn_does_not_come_is_called_off() -> None:
    turn = Turn[int]()
    with pytest.raises(Overloaded):
        context_with(0.02).outcome(turn)
    assert turn.cancelled()


@pytest.mark.parametrize("max_wait", [0.0, None])
@pytest.mark.parametrize("begun", [True, False])
def test_work_that_was_begun_or_that_nobody_waits_for_may_take_its_time(
    max_wait: float | None, begun: bool
) -> None:
    turn, beats = Turn[int](), []
    turn.begun = begun or max_wait == 0.0

    def heartbeat() -> None:
        beats.append(1)
        if len(beats) == 3:
            turn.set_result(7)

    assert context_with(max_wait).outcome(turn, heartbeat) == 7
    assert len(beats) == 3


def test_a_claim_is_renewed_while_its_turn_is_waited_for() -> None:
    turn, beats = Turn[int](), []
    with pytest.raises(Overloaded):
        context_with(0.1).outcome(turn, lambda: beats.append(1))
    assert beats


def test_a_closed_pool_is_an_interruption() -> None:
    turn = Turn[int]()
    turn.cancel()
    turn.set_running_or_notify_cancel()
    with pytest.raises(ImagingInterrupted):
        context_with(None).outcome(turn)


def test_patience_is_left_behind_where_nobody_waits() -> None:
    assert context_with(3.0).without_deadline.max_wait is None
