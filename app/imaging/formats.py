"""The formats that Lightwell writes and the ones that it reads."""

from enum import StrEnum


class Format(StrEnum):
    """An output format."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"

    @property
    def mime(self) -> str:
        return f"image/{self.value}"

    @property
    def extension(self) -> str:
        """The usual file name extension, without a dot."""
        return "jpg" if self is Format.JPEG else self.value

    @property
    def animates(self) -> bool:
        """Whether an animation stays one in this format."""
        return self in (Format.WEBP, Format.GIF)

    @property
    def alpha(self) -> bool:
        """Whether the format holds transparency."""
        return self is not Format.JPEG

    @classmethod
    def from_mime(cls, mime: str) -> "Format":
        """The format of a media type such as ``image/webp``; ValueError for any that is not
        written."""
        for known in cls:
            if mime.strip().lower() == known.mime:
                return known
        raise ValueError(f"{mime!r} is not one of {', '.join(known.mime for known in cls)}")


class Source(StrEnum):
    """A format that is read, as its content tells."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    GIF = "gif"
    HEIF = "heif"
    AVIF = "avif"
    TIFF = "tiff"
    BMP = "bmp"
    RAW = "raw"
    MP4 = "mp4"
    WEBM = "webm"
    MOV = "mov"

    @property
    def is_video(self) -> bool:
        return self in (Source.MP4, Source.WEBM, Source.MOV)

    @property
    def mime(self) -> str:
        """The media type; RAW has no common one, and HEIF another where it holds HEVC
        (``sniff.media_type``)."""
        match self:
            case Source.RAW:
                return "image/x-raw"
            case Source.MOV:
                return "video/quicktime"
        return f"{'video' if self.is_video else 'image'}/{self.value}"

    @property
    def written_as(self) -> Format | None:
        """The same format for output, where there is one."""
        return next((output for output in Format if output.value == self.value), None)
