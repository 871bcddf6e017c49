"""Processes that are kept running."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from signal import Signals

import psutil
import pytest

from tests.conftest import ROOT, wait_until

SUPERVISOR = """
import json, sys
from app import supervisor

supervisor.PAUSE_SECONDS = 0.05
supervisor.STOP_SECONDS = 0.5
sys.exit(supervisor.keep_running(json.loads(sys.argv[1])))
"""
NOTE_START = "import os, signal, sys, time; open(sys.argv[1], 'a').write('x'); "
PROGRAMS = {
    "steady": NOTE_START + "signal.pause()",
    "failing": NOTE_START + "sys.exit(3)",
    "stubborn": "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    + NOTE_START
    + "signal.pause()",
    "parting": NOTE_START + "os.fork() and os.kill(os.getpid(), signal.SIGKILL); time.sleep(600)",
}


def supervise(folder: Path, *names: str) -> "subprocess.Popen[str]":
    commands = {name: [sys.executable, "-c", PROGRAMS[name], str(folder / name)] for name in names}
    command = [sys.executable, "-c", SUPERVISOR, json.dumps(commands)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def starts(folder: Path, name: str) -> int:
    path = folder / name
    return path.stat().st_size if path.exists() else 0


def has_begun(folder: Path, name: str, times: int) -> bool:
    return starts(folder, name) == times


def test_a_process_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with supervise(tmp_path, "steady") as process:
        for number in range(1, 4):
            wait_until(partial(has_begun, tmp_path, "steady", number), "a start")
            psutil.Process(process.pid).children()[0].kill()
        wait_until(lambda: starts(tmp_path, "steady") == 4, "a start")
        process.terminate()
        _, said = process.communicate(timeout=10)
    assert process.returncode == 0
    assert said.count("steady ended with status -9 and is started again") == 3


def test_a_process_that_cannot_run_ends_them_all(tmp_path: Path) -> None:
    with supervise(tmp_path, "steady", "failing") as process:
        _, said = process.communicate(timeout=10)
    assert process.returncode == 1
    assert starts(tmp_path, "failing") == 5
    assert "failing ended 5 times within a minute, with status 3 at last; everything stops" in said


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_all_end_with_it_however_it_ends(tmp_path: Path, stop: Signals) -> None:
    with supervise(tmp_path, "steady", "stubborn") as process:
        wait_until(
            lambda: starts(tmp_path, "steady") and starts(tmp_path, "stubborn"), "both to start"
        )
        family = psutil.Process(process.pid).children()
        assert len(family) == 2
        process.send_signal(stop)
        _, said = process.communicate(timeout=10)
    assert process.returncode == (-stop if stop == signal.SIGKILL else 0)
    assert psutil.wait_procs(family, timeout=5)[1] == []
    assert said == ""


def test_what_a_killed_process_leaves_behind_goes_too(tmp_path: Path) -> None:
    """Each start of it leaves a child in its group."""
    with supervise(tmp_path, "parting") as process:
        process.communicate(timeout=10)
    assert starts(tmp_path, "parting") == 5
    mine = [
        one for one in psutil.process_iter() if f"{tmp_path}/parting" in " ".join(_command(one))
    ]
    assert not psutil.wait_procs(mine, timeout=5)[1]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    code = "from app.lifetime import end_with; end_with(1); print('still here')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
