"""Uploads that a crash left behind."""

import os
from datetime import timedelta

import pytest

from app.services.sweep import sweep

pytestmark = pytest.mark.usefixtures("context")


def test_abandoned_uploads_go_and_running_ones_stay(app, clock, tmp_path) -> None:
    for name, age in (("abandoned", timedelta(hours=7)), ("running", timedelta(hours=1))):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "upload-0").write_bytes(b"x")
        moment = (clock() - age).timestamp()
        os.utime(folder, (moment, moment))
    assert sweep(app.extensions["lightwell"].storage, tmp_path, clock()).spools == 1
    assert [path.name for path in tmp_path.iterdir()] == ["running"]


def test_sweeping_twice_or_without_a_folder_is_harmless(app, clock, tmp_path) -> None:
    storage = app.extensions["lightwell"].storage
    for _ in range(2):
        assert sweep(storage, tmp_path / "never made", clock()).spools == 0
