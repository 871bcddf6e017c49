"""What runs in a worker process, in a process that ends in order."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.imaging.samples import encoded, noise

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the bounds are Linux'")
PROGRAM = """
import os, resource, signal, sys
from pathlib import Path
from app.imaging import Limits, Transform
from app.imaging.pool import worker_main

limits = Limits(cpu_seconds=7, memory_bytes=700_000_000)
before = os.nice(0)
worker_main.start()
worker_main._cap_memory(limits.memory_bytes)
print("nobody reads this")
os.system("echo nor this")
picture = worker_main.run(Path(sys.argv[1]), Path(sys.argv[2]), Transform(), limits)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
cap = resource.getrlimit(resource.RLIMIT_AS)[0]
assert picture.size == Path(sys.argv[2]).stat().st_size
assert os.nice(0) == min(19, before + worker_main.NICENESS)
assert 0 < cap - size <= 700_000_000
assert resource.getrlimit(resource.RLIMIT_CPU)[0] == resource.RLIM_INFINITY
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
assert os.environ["VIPS_CONCURRENCY"] == "1"
assert Path("/proc/self/oom_score_adj").read_text().strip() == "500"
Path(sys.argv[2]).write_text("as it should be")
"""


@LINUX
def test_bounded_quiet_and_nice(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(encoded(noise(), "JPEG"))
    command = [sys.executable, "-c", PROGRAM, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("", "")
    assert target.read_text() == "as it should be", (
        "rerun without worker_main._silence to see the assertion"
    )
