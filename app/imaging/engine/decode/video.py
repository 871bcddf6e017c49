"""One frame of a video by FFmpeg, which is given this file's bytes and can open nothing else."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import NoReturn, cast

import av
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream

from app.imaging.engine.containers.header import Damaged, Header
from app.imaging.engine.containers.heif import Nclx
from app.imaging.engine.decode.decoded import Decoded
from app.imaging.engine.steps import colour, orient
from app.imaging.engine.vips import GValue, from_bytes
from app.imaging.errors import UNSUPPORTED_MEDIA, UnsupportedImage
from app.imaging.formats import Source
from app.imaging.limits import Limits

DEMUXERS = {Source.MP4: "mov", Source.MOV: "mov", Source.WEBM: "matroska"}
# What phones, cameras, browsers and editors write. FFmpeg has hundreds more, each a parser that a
# hostile file could choose for itself.
DECODERS = (
    "h264", "hevc", "libdav1d", "vp8", "vp9", "mpeg4", "h263", "mpeg2video", "mjpeg", "prores",
    "dnxhd", "dvvideo",
)  # fmt: skip
OPTIONS = {
    "codec_whitelist": ",".join(DECODERS),
    "protocol_whitelist": "file",
    "enable_drefs": "0",
    "use_absolute_path": "0",
    "probesize": "5000000",
    "analyzeduration": "5000000",
    "max_streams": "64",
}
# A poster is from a tenth of the way in, since many videos begin in black, but not from later than
# this.
LATEST_SECONDS = 3.0
# From a key frame to the wanted one at most so many pixels are decoded: 96 frames of 1080p, 0.1 to
# 0.5 s of CPU.
DECODED_PIXELS = 200_000_000
# A video that does not say which matrix made its colours (H.273) has BT.709's from this height on,
# else BT.601's.
HD_HEIGHT = 720
UNSPECIFIED = 2


def poster(path: Path, kind: Source, limits: Limits) -> tuple[Decoded, int]:
    """A frame near the beginning of a video, and how many milliseconds the video has.

    The frame is as it was stored: its tag tells how to turn it, and its full size is that of square
    pixels. UnsupportedImage where there is no track of moving pictures with a codec that is taken.
    """
    with (
        path.open("rb") as file,
        av.open(file, "r", DEMUXERS[kind], OPTIONS, io_open=_refuse) as container,
    ):
        stream = _moving_pictures(container)
        limits.check(Header(stream.width, stream.height))
        _check_samples(stream, path.stat().st_size)
        seconds = _duration(container, stream)
        limits.check_duration(seconds)
        decoder = stream.codec_context
        decoder.thread_type, decoder.thread_count = "NONE", 1
        decoder.options = {"max_pixels": str(limits.max_pixels)}
        frame = _frame(container, stream, min(seconds / 10, LATEST_SECONDS))
        aspect = stream.sample_aspect_ratio
    decoded = _decoded(frame, aspect or Fraction(1))
    limits.check(decoded)
    return decoded, round(seconds * 1000)


def _refuse(url: str, *_: object) -> NoReturn:
    """Refuse to open anything else that the file asks for, such as by its data references."""
    raise PermissionError(url)


def _moving_pictures(container: InputContainer) -> VideoStream:
    """The default video track, or else the largest. Cover art does not count."""
    stills = Disposition.attached_pic | Disposition.timed_thumbnails
    tracks = [
        track
        for track in container.streams.video
        if not track.disposition & stills
        and track.codec_context
        and track.codec_context.name in DECODERS
    ]
    if not tracks:
        raise UnsupportedImage(UNSUPPORTED_MEDIA)
    chosen = max(
        tracks,
        key=lambda track: (track.disposition & Disposition.default, track.width * track.height),
    )
    for track in container.streams:
        if track is not chosen:
            track.discard = Discard.all
    return chosen


def _check_samples(stream: VideoStream, size: int) -> None:
    """Damaged where the last sample of a movie's table is not in the file. Only a table of MP4 or
    MOV has sizes."""
    if len(stream.index_entries):
        last = stream.index_entries[-1]
        if last.pos + last.size > size:
            raise Damaged("sample reaches past the file")


def _duration(container: InputContainer, stream: VideoStream) -> float:
    """The length in seconds. A live recording does not have it written down, so the whole file is
    read for it."""
    if container.duration:
        return max(0.0, container.duration / av.time_base)
    ends = ((packet.pts or 0) + (packet.duration or 0) for packet in container.demux(stream))
    return float((max(ends, default=0) - (stream.start_time or 0)) * (stream.time_base or 0))


def _frame(container: InputContainer, stream: VideoStream, moment: float) -> VideoFrame:
    """The frame at a moment, in seconds, else the first that decodes. Damaged where none does."""
    for wanted in (moment, 0.0):
        with _skipping_damage():
            if frame := _frame_at(container, stream, wanted):
                return frame
    raise Damaged("no frame decodes")


def _frame_at(container: InputContainer, stream: VideoStream, moment: float) -> VideoFrame | None:
    """The frame at a moment or, where it is far from a key frame, an earlier one."""
    wanted = (stream.start_time or 0) + round(moment / (stream.time_base or 1))
    container.seek(wanted, stream=stream)
    frame, decoded = None, 0
    for frame in _frames(container, stream):
        decoded += frame.width * frame.height
        if decoded >= DECODED_PIXELS or (frame.pts or 0) >= wanted:
            break
    return frame


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """All frames from here on that decode without errors."""
    for packet in container.demux(stream):
        with _skipping_damage():
            yield from [frame for frame in stream.decode(packet) if not frame.is_corrupt]


@contextmanager
def _skipping_damage() -> Iterator[None]:
    """Go on after whatever FFmpeg does not understand. Lack of memory is no damage."""
    try:
        yield
    except MemoryError:
        raise
    except av.FFmpegError:
        pass


def _decoded(frame: VideoFrame, aspect: Fraction) -> Decoded:
    unspecified = frame.colorspace == UNSPECIFIED
    matrix = (
        (Colorspace.ITU709 if frame.height >= HD_HEIGHT else Colorspace.ITU601)
        if unspecified
        else None
    )
    rgb = frame.to_ndarray(format="rgb24", src_colorspace=matrix, threads=1)
    image = from_bytes(rgb.tobytes(), frame.width, frame.height, 3)
    image = colour.from_code_points(image, Nclx(frame.color_primaries, frame.color_trc)).copy()
    orientation = _orientation(frame)
    image.set_type(GValue.gint_type, orient.TAG, orientation)
    width = max(1, round(frame.width * aspect))
    return (
        Decoded(image, frame.height, width)
        if orient.is_turned(image)
        else Decoded(image, width, frame.height)
    )


def _orientation(frame: VideoFrame) -> int:
    """The display matrix (14496-12 §6.2.2: x' = ax + cy, y' = bx + dy) as an Exif orientation, to
    the nearest one."""
    matrix = cast(SideDataContainer, frame.side_data).get("DISPLAYMATRIX")
    if matrix is None:
        return 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return {(True, True): 1, (False, True): 2, (False, False): 3, (True, False): 4}[
            a >= 0, d >= 0
        ]
    return {(True, True): 5, (True, False): 6, (False, False): 7, (False, True): 8}[b >= 0, c >= 0]
