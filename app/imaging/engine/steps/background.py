"""Tell a subject from its background by U²-Net (Qin et al., Pattern Recognition 106, 2020)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import NotConfigured
from app.imaging.engine.steps.flatten import flatten
from app.imaging.engine.steps.resize import resize
from app.imaging.engine.vips import Image, from_bytes
from app.imaging.model_files import missing_for_background

# What the network was trained on: pictures of this side, whatever their ratio, of ImageNet's mean
# and deviation.
SIDE = 320
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


def remove_background(image: Image, weights: str) -> Image:
    """An 8-bit sRGB or gray picture as RGBA: everything but its subject is transparent, and the
    colours stay.

    ``weights`` is the file of the network. What was transparent before stays so. Raises
    NotConfigured.
    """
    image = image.copy_memory()  # it is read twice, and may stream from its decoder
    small = resize(flatten(image).colourspace("srgb"), SIDE, SIDE)
    mask = resize(_subject(small.numpy(), weights), image.width, image.height)
    if image.hasalpha():
        mask = (mask * image[image.bands - 1] / 255).rint().cast("uchar")
        image = image.extract_band(0, n=image.bands - 1)
    return image.colourspace("srgb").bandjoin(mask)


def _subject(pixels: NDArray[np.uint8], weights: str) -> Image:
    """How much of each pixel belongs to the subject, stretched to 0-255."""
    light = pixels / np.float32(max(pixels.max(), 1))
    batch = ((light - MEAN) / DEVIATION).astype(np.float32).transpose(2, 0, 1)[np.newaxis]
    with _worded_errors():
        network = _network(weights)
        # The first output joins those of all depths, which are the others.
        found = network.run([network.get_outputs()[0].name], {network.get_inputs()[0].name: batch})[
            0
        ][0, 0]
    found = (found - found.min()) / np.ptp(found)
    return from_bytes(np.rint(found * 255).astype(np.uint8).tobytes(), SIDE, SIDE, 1)


@cache
def _network(weights: str) -> Any:
    """The network, loaded once and only where it is needed: it takes half a second and 300 MB."""
    if missing := missing_for_background(Path(weights)):
        raise NotConfigured(missing)
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Anything more doubles the weights in memory and makes it no faster; an arena never gives back
    # what it took.
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.enable_cpu_mem_arena = False
    return runtime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


@contextmanager
def _worded_errors() -> Iterator[None]:
    """Type the runtime's errors. They never come from the picture: there was too little memory, or
    the file is no u2net."""
    try:
        yield
    except (NotConfigured, MemoryError):
        raise
    except Exception as error:
        if "bad_alloc" in str(error):
            raise MemoryError(str(error)) from error
        raise NotConfigured(
            "This server cannot remove backgrounds: its u2net.onnx cannot be used."
        ) from error
