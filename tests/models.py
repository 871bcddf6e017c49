"""Where ./run models puts its networks, and the mark of tests that need them."""

import os
from pathlib import Path

import pytest

from app.imaging.model_files import missing_for_background
from tests.conftest import ROOT

U2NET = Path(os.environ.get("DATA_DIR", ROOT / "var")) / "models" / "u2net.onnx"
missing = missing_for_background(U2NET)


def needs_models(test):
    return pytest.mark.models(pytest.mark.skipif(missing is not None, reason=str(missing))(test))
