"""Where ./run models puts its networks, and the mark of tests that need them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from app.imaging.model_files import missing_for_background
from tests.conftest import ROOT

U2NET = Path(os.environ.get("DATA_DIR", ROOT / "var")) / "models" / "u2net.onnx"
missing = missing_for_background(U2NET)
Marked = TypeVar("Marked", bound=Callable[..., None])


def needs_models(test: Marked) -> Marked:
    return pytest.mark.models(pytest.mark.skipif(missing is not None, reason=str(missing))(test))
