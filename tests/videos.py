"""Videos made on the spot, whose frames are known."""

import io
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from tests.imaging.samples import corners

RATE = 10
CODECS = {"mp4": "libx264", "mov": "libx264", "webm": "libvpx-vp9"}
QUICK = {
    "libx264": {"preset": "ultrafast", "crf": "12"},
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime", "crf": "12", "b": "0"},
}
LIVE = {"webm": {"live": "1"}, "mp4": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}}
# H.273's numbers for the matrices, as FFmpeg's scaler calls them.
MATRICES = {1: "itu709", 9: "bt2020"}


def film(
    frames: list[np.ndarray],
    container: str = "mp4",
    codec: str = "",
    *,
    matrix: tuple[int, int, int, int] | None = None,
    aspect: Fraction | None = None,
    pix_fmt: str = "yuv420p",
    tags: Mapping[str, int] | None = None,
    told: bool = True,
    group: int = 12,
    live: bool = False,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """A file of ``frames`` (height x width x 3, 8 bits), 10 a second.

    ``matrix`` holds a, b, c, d of the display matrix. ``tags`` are numbers of H.273, as
    ``colorspace``; ``told`` False colours the frames by them, but leaves them out. ``group`` is how
    many frames a key frame serves; ``live`` writes as one that can't go back to fill in the length.
    """
    codec, tags = codec or CODECS[container], tags or {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film")
        settings = {**(LIVE[container] if live else {}), **(options or {})}
        with av.open(path, "w", format=container, options=settings) as output:
            stream = output.add_stream(codec, rate=RATE, options=QUICK.get(codec, {}))
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width, _ = frames[0].shape
            stream.pix_fmt, stream.gop_size = pix_fmt, group
            if aspect:
                stream.codec_context.sample_aspect_ratio = aspect
            if matrix:
                a, b, c, d = (side << 16 for side in matrix)
                stream.set_display_matrix((a, b, 0, c, d, 0, 0, 0, 1 << 30))
            named = tags if told else {}
            for name, value in named.items():
                setattr(stream.codec_context, name, value)
            for picture in frames:
                frame = _coloured(picture, pix_fmt, tags)
                for name, value in {"colorspace": 2, **named}.items():
                    setattr(frame, name, value)
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        return path.read_bytes()


def _coloured(picture: np.ndarray, pix_fmt: str, tags: Mapping[str, int]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        format=pix_fmt,
        src_color_range="JPEG",
        dst_color_range="JPEG" if tags.get("color_range") == 2 else "MPEG",
        dst_colorspace=MATRICES.get(tags.get("colorspace", 2), "itu601"),
    )


def sound(container: str = "mp4", codec: str = "aac", cover: bytes = b"") -> bytes:
    """A second of silence; ``cover`` is a JPEG that goes along, as music has it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sound")
        with av.open(path, "w", format=container) as output:
            stream = output.add_stream(codec, rate=48_000)
            assert isinstance(stream, av.AudioStream)
            if cover:
                picture = output.add_stream("mjpeg", width=80, height=48, pix_fmt="yuvj420p")
                picture.disposition = Disposition.attached_pic
                packet = av.Packet(cover)
                packet.stream, packet.pts, packet.dts = picture, 0, 0
                output.mux(packet)
            for _ in range(50):
                silence = av.AudioFrame.from_ndarray(
                    np.zeros((1, 960), np.float32), format="fltp", layout="mono"
                )
                silence.sample_rate = 48_000
                output.mux(stream.encode(silence))
            output.mux(stream.encode())
        return path.read_bytes()


def followed(first: bytes, second: bytes) -> bytes:
    """A WebM of two others' frames, one after the other, with the first one's header."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film")
        with av.open(path, "w", format="webm") as output, av.open(io.BytesIO(first)) as beginning:
            stream = output.add_stream_from_template(beginning.streams.video[0])
            end = 0
            for content in (first, second):
                with av.open(io.BytesIO(content), "r") as container:
                    for packet in container.demux(video=0):
                        if packet.size:
                            packet.stream, packet.pts, packet.dts = stream, end, end
                            output.mux(packet)
                            end += 100
        return path.read_bytes()


def plain(colour: tuple[int, int, int], width: int = 80, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


STILL = [np.asarray(corners())] * 20
# Two seconds of the same frame in every container that is read.
FILMS = {
    "mp4": film(STILL),
    "faststart": film(STILL, options={"movflags": "faststart"}),
    "fragmented": film(STILL, live=True),
    "mov": film(STILL, "mov"),
    "webm": film(STILL, "webm"),
    "live webm": film(STILL, "webm", live=True),
}
