"""The local object store."""

import pytest

from app.adapters.storage import LocalStorage


@pytest.fixture
def storage(tmp_path) -> LocalStorage:
    return LocalStorage(tmp_path / "objects")


def test_what_is_put_is_got_until_it_is_deleted(storage) -> None:
    storage.put("a/b/c", [b"one", b"two"])
    with storage.open("a/b/c") as file:
        assert file.read() == b"onetwo"
    storage.delete("a/b/c")
    storage.delete("a/b/c")
    with pytest.raises(FileNotFoundError):
        storage.open("a/b/c")


def test_a_put_that_breaks_leaves_nothing_and_spoils_nothing(storage) -> None:
    def breaking():
        yield b"half"
        raise OSError("the disk is full")

    storage.put("kept", [b"whole"])
    for key in ("kept", "fresh"):
        with pytest.raises(OSError, match="disk is full"):
            storage.put(key, breaking())
    assert [path.name for path in storage.root.rglob("*") if path.is_file()] == ["kept"]
    with storage.open("kept") as file:
        assert file.read() == b"whole"


@pytest.mark.parametrize("key", ["../escape", "/etc/passwd", "a/../../escape"])
def test_no_key_leaves_the_folder(storage, key) -> None:
    with pytest.raises(ValueError, match="may not leave"):
        storage.put(key, [b"x"])


def test_check_notices_a_folder_that_cannot_be_written(tmp_path) -> None:
    LocalStorage(tmp_path / "fine").check()
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError):
        LocalStorage(tmp_path / "file").check()
