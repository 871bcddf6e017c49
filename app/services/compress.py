"""Compress a batch: reserve usage, work on all cores, settle."""

from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from app.errors import AppError, MonthlyLimitReached, Overloaded, TooLarge, Unprocessable
from app.extensions import transaction
from app.imaging import ImagingInterrupted, Picture, Transform, Turn
from app.services.accounts.principal import Principal
from app.services.processing_context import ProcessingContext, busy
from app.services.usage import limits, reservations
from app.services.usage.limits import Summary
from app.services.usage.reservations import Reservation

IN_FLIGHT_PER_PROCESS = 2
"""Files of one batch that are in the pool at one time. The rest waits here, so that batches take
turns."""
HEARTBEAT = timedelta(minutes=1)
PATIENCE_SECONDS = 30
STALLED_AFTER = timedelta(minutes=15)
"""A batch in which no file finishes for this long is given up. The pool's own limits are far below
it."""


@dataclass(frozen=True)
class SourceFile:
    """An uploaded file: the client's name for it, the path of its bytes, and its size in bytes."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True)
class Result:
    """A compressed file."""

    upload: SourceFile
    picture: Picture
    path: Path


@dataclass(frozen=True)
class Failure:
    """A file that could not be compressed, with the error."""

    upload: SourceFile
    error: AppError


@dataclass(frozen=True)
class Batch:
    """The result of a batch, in the order in which the files were sent, and the month's usage after
    it."""

    results: list[Result]
    failures: list[Failure]
    usage: Summary
    charged: int


def compress(
    principal: Principal,
    uploads: Sequence[SourceFile],
    transform: Transform,
    context: ProcessingContext,
    *,
    partial: bool = False,
    reference: str | None = None,
) -> Batch:
    """Compress ``uploads`` into files in the same folder, with a watermark for a test key, and
    charge for the files that succeeded.

    Without ``partial`` one bad file fails the whole batch. Raises MonthlyLimitReached before any
    work; after it Unprocessable, or TooLarge if every bad file is too large, naming each bad file;
    Overloaded or ImagingInterrupted if the server gave up. Then nothing is charged.
    """
    with transaction(principal.org_id) as session:
        reservation = reservations.reserve(
            session,
            principal,
            "compress",
            len(uploads),
            context.clock(),
            reference,
            MonthlyLimitReached,
        )
    try:
        outcomes = _work(
            principal, uploads, principal.watermarked_for_test(transform), context, reservation
        )
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if failures and not (partial and results):
            raise _refusal(failures) from ExceptionGroup("files", [one.error for one in failures])
        with transaction(principal.org_id) as session:
            reservations.settle(session, reservation, len(results))
            summary = limits.summarise(session, principal, context.clock())
    except BaseException:
        with transaction(principal.org_id) as session:
            reservations.release(session, reservation)
        raise
    return Batch(results, failures, summary, len(results) if principal.is_live else 0)


def compress_uncharged(
    upload: SourceFile, transform: Transform, context: ProcessingContext, group: str
) -> Result:
    """Compress one file that nobody is charged for. ``group`` is whom its turn in the pool counts
    for.

    Raises Overloaded, ImagingError and its subclasses, and ImagingInterrupted.
    """
    target = _target(upload)
    try:
        work = context.imaging.submit(upload.path, target, transform, group)
        return Result(upload, context.outcome(work), target)
    finally:
        upload.path.unlink(missing_ok=True)


def _work(
    principal: Principal,
    uploads: Sequence[SourceFile],
    transform: Transform,
    context: ProcessingContext,
    reservation: Reservation,
) -> list[Result | Failure]:
    """Compress all uploads and renew the reservation meanwhile."""
    outcomes: dict[int, Result | Failure] = {}
    renewed = progressed = context.clock()
    with closing(_converted(principal, uploads, transform, context)) as finished:
        for number, outcome in finished:
            now = context.clock()
            if outcome is not None:
                outcomes[number] = outcome
                progressed = now
            elif now - progressed >= STALLED_AFTER:
                raise Overloaded(
                    "The server is too busy to finish this batch. Nothing was charged; send it "
                    "again."
                )
            if now - renewed >= HEARTBEAT:
                renewed = now
                with transaction(principal.org_id) as session:
                    reservations.extend(session, reservation, now)
    return [outcomes[number] for number in range(len(uploads))]


def _converted(
    principal: Principal,
    uploads: Sequence[SourceFile],
    transform: Transform,
    context: ProcessingContext,
) -> Generator[tuple[int, Result | Failure | None], None, None]:
    """Yield each outcome when it is ready, with the upload's index in the batch, and ``-1, None``
    after a wait in which none was ready.

    Raises Overloaded if no file begins before the context's patience ends. Once one has begun, the
    others may wait longer.
    """
    waiting = iter(enumerate(uploads))
    running: dict[Turn[Picture], int] = {}
    at_once, begun = context.imaging.processes * IN_FLIGHT_PER_PROCESS, context.max_wait is None
    try:
        while True:
            for number, upload in islice(waiting, at_once - len(running)):
                running[
                    context.imaging.submit(
                        upload.path, _target(upload), transform, principal.org_id
                    )
                ] = number
            if not running:
                return
            wait(running, PATIENCE_SECONDS if begun else context.max_wait, FIRST_COMPLETED)
            begun = begun or any(turn.begun or turn.done() for turn in running)
            if not begun:
                raise busy()
            done = [turn for turn in running if turn.done()]
            if not done:
                yield -1, None
            for turn in done:
                number = running.pop(turn)
                yield number, _outcome(uploads[number], turn)
    finally:
        for turn in running:
            turn.cancel()


def _outcome(upload: SourceFile, future: Future[Picture]) -> Result | Failure:
    """The outcome of one file. Raises the errors that are the server's fault, not the file's."""
    try:
        return Result(upload, future.result(), _target(upload))
    except CancelledError:
        raise ImagingInterrupted(
            "The server was stopped while it worked on the batch; send it again."
        ) from None
    except AppError as error:
        if error.status >= 500:
            raise
        return Failure(upload, error)
    finally:
        upload.path.unlink(missing_ok=True)


def _target(upload: SourceFile) -> Path:
    return upload.path.with_name(f"{upload.path.name}.out")


def _refusal(failures: Sequence[Failure]) -> AppError:
    problems = [f"{failure.upload.name}: {failure.error.message}" for failure in failures]
    first = failures[0].error
    if len(failures) == 1:
        return type(first)(problems[0], errors=problems)
    kind = (
        TooLarge
        if all(failure.error.status == TooLarge.status for failure in failures)
        else Unprocessable
    )
    return kind(
        f"{len(failures)} files cannot be compressed. Nothing was charged.", errors=problems
    )
