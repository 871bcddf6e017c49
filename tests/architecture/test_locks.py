"""The lock files: pip and uv install the same from them on any day, whatever was released since."""

from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(ROOT.glob("requirements*.txt"))


def locked(path: Path) -> list[tuple[Requirement, str]]:
    """The requirements of a lock file, each with its hashes; a name may stand once for each
    Python."""
    entries = "\n".join(
        line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")
    )
    split = (entry.partition(" --hash=") for entry in entries.replace("\\\n", " ").splitlines())
    return [(Requirement(text), hashes) for text, _, hashes in split]


def locked_here(path: Path) -> dict[NormalizedName, Requirement]:
    """Those of them that are meant for this machine, by name."""
    return {
        canonicalize_name(requirement.name): requirement
        for requirement, _ in locked(path)
        if requirement.marker is None or requirement.marker.evaluate()
    }


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_and_hashed(path: Path) -> None:
    loose = [
        str(requirement)
        for requirement, hashes in locked(path)
        if [specifier.operator for specifier in requirement.specifier] != ["=="]
        or str(requirement.specifier).endswith("*")
        or not hashes.startswith("sha256:")
    ]
    assert not loose


def test_what_the_locked_ask_for_is_locked_with_the_extras_they_ask_for() -> None:
    """pip would look for an unnamed extra among today's releases, and refuse them for lack of a
    pin."""
    lock = locked_here(ROOT / "requirements-dev.txt")
    installed = {canonicalize_name(found.name): found for found in distributions()}
    unlocked = []
    for name in lock.keys() & installed.keys():
        for text in installed[name].requires or []:
            wanted = Requirement(text)
            extras = lock[name].extras or {""}
            if wanted.marker and not any(
                wanted.marker.evaluate({"extra": extra}) for extra in extras
            ):
                continue
            found = lock.get(canonicalize_name(wanted.name))
            if found is None or not wanted.extras <= found.extras:
                unlocked.append(f"{name} wants {wanted}")
    assert not unlocked


def test_the_environment_is_the_locked_one() -> None:
    """What is installed beside the lock would be missing on the next machine."""
    lock = {name for path in LOCKS for name in locked_here(path)}
    strangers = (
        {canonicalize_name(found.name) for found in distributions()}
        - lock
        - {"pip", "setuptools", "lightwell"}
    )
    assert not strangers
