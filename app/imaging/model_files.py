"""The model files that this server has. Nothing loads them here, so the web process may ask."""

from importlib.util import find_spec
from pathlib import Path


def missing_for_background(weights: Path) -> str | None:
    """What the removal of backgrounds lacks here and how to get it; None where it lacks nothing.
    ``weights`` is u2net's file."""
    if not find_spec("onnxruntime"):
        return (
            "This server cannot remove backgrounds: it has no onnxruntime. Its operator gets it "
            "by ./run models."
        )
    if not weights.is_file():
        return (
            "This server cannot remove backgrounds: it has no u2net.onnx. Its operator gets it "
            "by ./run models."
        )
    return None
