"""The pool with worker processes that misbehave, by a task of the tests' own or by a hostile
file."""

import ctypes
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from PIL import Image

from app.imaging import (
    Derivation,
    Format,
    ImageTooLarge,
    ImageTooSlow,
    ImagingError,
    ImagingPool,
    Limits,
    Painting,
    Picture,
    Transform,
    Turn,
    UnreadableImage,
    UnsupportedImage,
)
from app.imaging.errors import TOO_MUCH_MEMORY
from app.imaging.operations import Resize, Rotate
from app.imaging.pool import worker_main
from app.imaging.work import Result, Work, part_of
from tests.imaging.samples import encoded, noise, opened
from tests.videos import FILMS

SHORT = Limits(cpu_seconds=1, wall_seconds=3, memory_bytes=600_000_000)
PATIENCE = 20
KEPT: list[bytearray] = []


def misbehave(source: Path, target: Path, work: Work, limits: Limits) -> Result:
    """Do what the file's text says; a picture is converted."""
    match source.read_bytes()[:8].strip():
        case b"sleep":
            part_of(target).write_bytes(b"half a file")
            time.sleep(60)
        case b"segfault":
            ctypes.string_at(0)
        case b"abort":
            os.abort()
        case b"leave":
            os._exit(3)
        case b"eat":
            bytearray(4_000_000_000)
        case b"keep":
            KEPT.append(bytearray(100_000_000))
        case b"lack":
            raise ImageTooLarge(TOO_MUCH_MEMORY)
        case b"take":
            bytearray(550_000_000)
            bytearray(550_000_000)
        case b"fault":
            raise KeyError("a defect of ours")
        case b"pid":
            target.write_text(str(os.getpid()))
    return worker_main.run(source, target, work, limits)


def spin(source: Path, target: Path, work: Work, limits: Limits) -> Result:
    """Like ``worker_main.run``, with an engine that never ends."""

    def perform(*_: object) -> Result:
        while True:
            pass

    worker_main._load_engine = lambda: perform
    return worker_main.run(source, target, work, limits)


@pytest.fixture(scope="module")
def pool() -> Iterator[ImagingPool]:
    pool = ImagingPool(2, SHORT, task=misbehave)
    pool.warm()
    yield pool
    pool.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo"
    path.write_bytes(encoded(noise(), "JPEG"))
    return path


def order(pool: ImagingPool, folder: Path, what: str) -> Turn[Picture]:
    source = folder / what
    source.write_bytes(what.encode().ljust(8))
    return pool.submit(source, folder / f"{what}.out", Transform(), "acme")


def worker_processes() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # gone, or not yet buried
            if "spawn_main" in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_the_web_process_loads_no_engine() -> None:
    code = """
import sys, app.imaging
pool = app.imaging.ImagingPool(1, app.imaging.Limits()); pool.warm(); pool.close()
engines = {"pyvips", "numpy", "rawpy", "pillow_heif", "PIL", "oxipng", "av"} & set(sys.modules)
assert not engines, engines
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


def test_converts(pool: ImagingPool, photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    picture = pool.submit(photo, target, Transform(Format.WEBP, max_width=100), "acme").result(
        PATIENCE
    )
    assert (picture.format, picture.width, picture.size) == (
        Format.WEBP,
        100,
        target.stat().st_size,
    )
    assert opened(target.read_bytes()).size == (100, 75)


def test_examines(pool: ImagingPool, photo: Path, tmp_path: Path) -> None:
    video, target, poster = tmp_path / "video", tmp_path / "out", tmp_path / "poster"
    video.write_bytes(FILMS["mp4"])
    looked_at, watched = pool.examine(photo, target, "acme"), pool.examine(video, poster, "acme")
    original = looked_at.result(PATIENCE)
    assert (original.mime, original.width, original.height) == ("image/jpeg", 256, 192)
    assert opened(target.read_bytes()).format == "WEBP"
    original = watched.result(PATIENCE)
    assert (original.mime, original.duration_ms, original.thumbnail.size) == (
        "video/mp4",
        2000,
        poster.stat().st_size,
    )


def test_derives_and_paints(pool: ImagingPool, photo: Path, tmp_path: Path) -> None:
    target, thumbnail, painted = tmp_path / "out", tmp_path / "thumbnail", tmp_path / "painted"
    derivation = Derivation(
        Transform(quality=None, operations=(Resize(60, 60), Rotate(90)), watermarked_for_test=True),
        thumbnail,
    )
    derived = pool.derive(photo, target, derivation, "acme")
    painted.touch()  # this pool's task reads its source first, and a painting has none
    painting = pool.paint(painted, Painting("a hill", "", seed=1, side=64), "acme")
    assert derived.result(PATIENCE).picture.size == target.stat().st_size
    assert (opened(target.read_bytes()).format, opened(thumbnail.read_bytes()).size) == (
        "JPEG",
        (60, 60),
    )
    assert painting.result(PATIENCE).size == painted.stat().st_size
    assert opened(painted.read_bytes()).size == (64, 64)


def test_an_original_that_is_refused_leaves_nothing(
    pool: ImagingPool, photo: Path, tmp_path: Path
) -> None:
    photo.write_bytes(photo.read_bytes()[:2000])
    assert isinstance(
        pool.examine(photo, tmp_path / "out", "acme").exception(PATIENCE), UnreadableImage
    )
    assert list(tmp_path.iterdir()) == [photo]


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("text", UnsupportedImage),
        ("sleep", ImageTooSlow),
        ("segfault", UnreadableImage),
        ("leave", UnreadableImage),
        ("abort", ImageTooLarge),
        ("eat", ImageTooLarge),
        ("fault", ImagingError),
    ],
)
def test_failures_are_typed_and_neighbours_unaffected(
    pool: ImagingPool, photo: Path, tmp_path: Path, what: str, error: type[ImagingError]
) -> None:
    failing = order(pool, tmp_path, what)
    neighbours = [
        pool.submit(photo, tmp_path / f"neighbour{number}", Transform(), "acme")
        for number in range(6)
    ]
    assert all(neighbour.result(PATIENCE).width == 256 for neighbour in neighbours)
    refusal = failing.exception(PATIENCE)
    assert type(refusal) is error
    assert isinstance(refusal, ImagingError)
    assert str(tmp_path) not in refusal.message
    assert not list(tmp_path.glob("*.part"))
    assert not (tmp_path / f"{what}.out").exists()


@pytest.mark.slow
def test_cpu_time_is_bounded_and_counted_anew_for_each_file(photo: Path, tmp_path: Path) -> None:
    pool = ImagingPool(1, Limits(cpu_seconds=1, wall_seconds=PATIENCE), task=spin)
    started = time.monotonic()
    try:
        assert isinstance(
            pool.submit(photo, tmp_path / "out", Transform(), "acme").exception(PATIENCE),
            ImageTooSlow,
        )
        assert time.monotonic() - started < PATIENCE / 2
    finally:
        pool.close()
    others = worker_processes()
    patient = ImagingPool(1, Limits(cpu_seconds=1))
    try:
        for number in range(12):
            assert (
                patient.submit(photo, tmp_path / f"{number}", Transform(Format.AVIF), "acme")
                .result(PATIENCE)
                .size
            )
        (process,) = set(worker_processes()) - set(others)
        assert sum(process.cpu_times()[:2]) > 1, (
            "the files together must have passed the bound of one"
        )
    finally:
        patient.close()


def test_a_file_that_needs_more_memory_than_its_process_may_have(tmp_path: Path) -> None:
    pool = ImagingPool(1, Limits(memory_bytes=150_000_000))
    source = tmp_path / "source"
    source.write_bytes(encoded(Image.new("RGB", (8000, 8000)), "JPEG", progressive=True))
    try:
        assert isinstance(
            pool.submit(source, tmp_path / "out", Transform(), "acme").exception(PATIENCE),
            ImageTooLarge,
        )
    finally:
        pool.close()


def test_what_files_before_left_takes_nothing_from_the_next(tmp_path: Path) -> None:
    pool = ImagingPool(1, SHORT, task=misbehave)
    try:
        orders = ("take", "keep", "take", "keep", "take", "lack", "take")
        errors = [order(pool, tmp_path, what).exception(PATIENCE) for what in orders]
        assert [str(error) for error in errors if isinstance(error, ImageTooLarge)] == [
            TOO_MUCH_MEMORY
        ]
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("orders", "stays"),
    [(("pid",), True), (("keep",), True), (("keep", "keep"), False), (("lack",), False)],
)
def test_a_process_that_has_grown_or_lacked_memory_is_replaced(
    tmp_path: Path, orders: tuple[str, ...], stays: bool
) -> None:
    pool = ImagingPool(1, SHORT, task=misbehave)
    pids = []
    try:
        for what in ("pid", *orders, "pid"):
            order(pool, tmp_path, what).exception(PATIENCE)
            pids.append((tmp_path / "pid.out").read_text())
        assert (pids[0] == pids[-1]) == stays
    finally:
        pool.close()


def test_an_idle_process_that_is_killed_is_replaced(photo: Path, tmp_path: Path) -> None:
    pool = ImagingPool(1, SHORT, task=misbehave)
    try:
        order(pool, tmp_path, "pid").exception(PATIENCE)
        idle = psutil.Process(int((tmp_path / "pid.out").read_text()))
        idle.kill()
        for _ in range(3):
            assert (
                pool.submit(photo, tmp_path / "two", Transform(), "acme").result(PATIENCE).width
                == 256
            )
            time.sleep(0.1)
    finally:
        pool.close()


@pytest.mark.slow
def test_whenever_processes_are_killed_nothing_waits_for_ever(photo: Path, tmp_path: Path) -> None:
    """A process is killed at a random moment around the hand-over of files: that costs one file at
    the most."""
    pool = ImagingPool(2, SHORT)
    moment = random.Random(7)
    try:
        pool.warm()
        for number in range(30):
            victim = moment.choice(worker_processes())
            threading.Timer(moment.random() * 0.01, victim.kill).start()
            files = [
                pool.submit(photo, tmp_path / f"{number}-{file}", Transform(), "acme")
                for file in range(4)
            ]
            refused = [file for file in files if file.exception(PATIENCE)]
            assert len(refused) <= 1
    finally:
        pool.close()


def test_cancelling(pool: ImagingPool, photo: Path, tmp_path: Path) -> None:
    sleeping = order(pool, tmp_path, "sleep")
    time.sleep(0.3)
    assert sleeping.cancel()
    with pytest.raises(CancelledError):
        sleeping.result(PATIENCE)
    assert pool.submit(photo, tmp_path / "out", Transform(), "acme").result(PATIENCE).width == 256


def test_groups_take_turns_and_what_waits_has_not_begun(photo: Path, tmp_path: Path) -> None:
    pool, done = ImagingPool(1, SHORT, task=misbehave), list[str]()
    try:
        first = order(pool, tmp_path, "sleep")
        crowd = [
            pool.submit(photo, tmp_path / f"a{number}", Transform(), "a") for number in range(4)
        ]
        single = pool.submit(photo, tmp_path / "b", Transform(), "b")
        for name, turn in [*(("a", turn) for turn in crowd), ("b", single)]:
            turn.add_done_callback(lambda _, name=name: done.append(name))  # type: ignore[misc]
        deadline = time.monotonic() + PATIENCE
        while not first.begun:
            assert time.monotonic() < deadline
        assert not any(turn.begun for turn in [*crowd, single])
        first.cancel()
        assert all(turn.result(PATIENCE) and turn.begun for turn in [*crowd, single])
        assert "".join(done) == "baaaa"
    finally:
        pool.close()


def test_the_worker_processes_end_with_the_pool(tmp_path: Path) -> None:
    pool = ImagingPool(1, SHORT, task=misbehave)
    order(pool, tmp_path, "pid").exception(PATIENCE)
    process = psutil.Process(int((tmp_path / "pid.out").read_text()))
    waiting = [order(pool, tmp_path, "sleep") for _ in range(3)]
    time.sleep(0.3)
    assert process.is_running()
    pool.close()
    pool.close()
    assert not process.is_running()
    for future in waiting:
        with pytest.raises((CancelledError, ImagingError)):
            future.result(PATIENCE)
    with pytest.raises(RuntimeError):
        pool.submit(tmp_path / "sleep", tmp_path / "out", Transform(), "acme")


def test_the_worker_processes_end_with_a_parent_that_is_killed() -> None:
    code = """
import time, psutil
from app.imaging import ImagingPool, Limits
if __name__ == "__main__":
    pool = ImagingPool(2, Limits()); pool.warm()
    started = psutil.Process().children()
    spawned = (process for process in started if "spawn_main" in " ".join(process.cmdline()))
    print(*(process.pid for process in spawned), flush=True)
    time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait(PATIENCE)
    parent.stdout.close()
    deadline = time.monotonic() + PATIENCE
    while any(
        psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        for pid in pids
    ):
        assert time.monotonic() < deadline, "a worker process outlived its parent"
        time.sleep(0.05)


def test_a_worker_process_is_nice_and_ignores_ctrl_c(
    pool: ImagingPool, photo: Path, tmp_path: Path
) -> None:
    assert pool.submit(photo, tmp_path / "out", Transform(), "acme").result(PATIENCE)
    family = worker_processes()
    assert family
    for process in family:
        assert process.nice() >= worker_main.NICENESS
        process.send_signal(signal.SIGINT)
    assert pool.submit(photo, tmp_path / "out", Transform(), "acme").result(PATIENCE)


def test_decoders_do_not_write_into_the_log(photo: Path, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from app.imaging import *
if __name__ == "__main__":
    pool = ImagingPool(1, Limits())
    source, target = Path({str(photo)!r}), Path({str(tmp_path / "out")!r})
    print(pool.submit(source, target, Transform(), "acme").exception() is not None)
    pool.close()
"""
    content = photo.read_bytes()
    photo.write_bytes(content[: len(content) // 2])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_worker_process_that_ends_by_itself_is_logged(
    pool: ImagingPool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        order(pool, tmp_path, "segfault").exception(PATIENCE)
    assert f"exit code {-signal.SIGSEGV}" in caplog.text
