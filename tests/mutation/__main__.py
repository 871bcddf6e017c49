"""Do the tests bite? Make small mistakes in the code, one at a time, and count those that the tests
notice.

Cosmic Ray makes the mistakes, and ``operators`` some more, in a copy of the project, so that none
is ever left behind. At each place of a module where one can be made, one is drawn; of the places,
``--places`` are. The same seed draws the same ones.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from compileall import compile_dir
from pathlib import Path
from py_compile import PycInvalidationMode
from shutil import copyfile

from tests.mutation.mistakes import Mistake, mistakes_in
from tests.mutation.trial import TESTS, Trial, suite_of

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    options = _options()
    noticed = made = 0
    with tempfile.TemporaryDirectory(prefix="lw-m-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's own user may have to pass
        _copy(folder)
        for module in options.path or sorted(TESTS):
            chosen = _drawn(mistakes_in(ROOT / module), options.places, options.seed)
            survivors = _survivors(Trial(folder, module), chosen)
            made, noticed = made + len(chosen), noticed + len(chosen) - len(survivors)
            print(f"{module}: {_share(len(chosen) - len(survivors), len(chosen))}", flush=True)
            for survivor in survivors:
                print(survivor.shown(), flush=True)
    print(f"\nAll: {_share(noticed, made)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run mutate", description="Do the tests bite?")
    parser.add_argument(
        "path",
        nargs="*",
        help="modules, app/tenancy.py; without any, those of the table in trial.py",
    )
    parser.add_argument("--places", type=int, default=20, help="places in each module, 0 for all")
    parser.add_argument("--seed", default="lightwell")
    options = parser.parse_args()
    for path in options.path:
        if not (ROOT / path).is_file() or not suite_of(path):
            parser.error(
                f"{path}: no such module, or no tests that are named after it; name them in "
                "trial.py"
            )
    return options


def _copy(folder: Path) -> None:
    """Make ``folder`` a copy of the project, compiled so that a module is compiled again when its
    text differs."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(
        listed, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    for name in names:
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copyfile(ROOT / name, folder / name)
    for package in ("app", "dev"):
        compile_dir(folder / package, quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)


def _drawn(mistakes: list[list[Mistake]], places: int, seed: str) -> list[Mistake]:
    draw = random.Random(seed)
    one_each = [draw.choice(at_a_place) for at_a_place in mistakes]
    return one_each if not 0 < places < len(one_each) else draw.sample(one_each, places)


def _survivors(trial: Trial, chosen: list[Mistake]) -> list[Mistake]:
    if not trial.passes():
        sys.exit(
            f"{trial.said()}\nThe tests of {trial.module} fail without a mistake: "
            f"{' '.join(trial.tests)}"
        )
    survivors = []
    for one in chosen:
        noticed = trial.notices(one)
        print("." if noticed else "!", end="", file=sys.stderr, flush=True)
        if not noticed:
            survivors.append(one)
    print(file=sys.stderr)
    return sorted(survivors, key=lambda one: one.line)


def _share(noticed: int, made: int) -> str:
    return f"{noticed} of {made} noticed, {100 * noticed // max(made, 1)} %"


if __name__ == "__main__":
    sys.exit(main())
