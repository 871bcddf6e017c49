"""Why a file was refused. The messages go to the API's user: what is wrong, what to do, no names,
no internals."""

from app.errors import AppError, BadRequest


class ImagingError(AppError):
    """Any refusal of a picture or video; catch this one to handle them all."""


class UnsupportedImage(ImagingError):
    status = 422
    code = "unsupported_image"
    title = "The file is of no supported format"
    advice = (
        "Send JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF, BMP or camera RAW, and as an asset also MP4, "
        "MOV or WebM. The content decides: another name or Content-Type does not change what a "
        "file is."
    )


class UnreadableImage(ImagingError):
    status = 422
    code = "unreadable_image"
    title = "The file is damaged or incomplete"
    advice = (
        "Open it where it was made, export it again and send the new file. Nothing was charged."
    )


class ImageTooLarge(ImagingError):
    status = 413
    code = "image_too_large"
    title = "The image or video is larger than one may be"
    advice = (
        "Send it with smaller dimensions. The message names the limit that was passed: megapixels "
        "(of all frames together), pixels a side, frames, a video's length, or the memory that the "
        "file needs."
    )


class ImageTooSlow(ImagingError):
    status = 422
    code = "image_too_slow"
    title = "The file takes longer than one file may take"
    advice = (
        "Send it with smaller dimensions or in a simpler encoding, or ask for another output "
        "format."
    )


class OutsideImage(ImagingError, BadRequest):
    """A crop that reaches over the edge of its picture."""


class ImagingInterrupted(ImagingError):
    """The worker process was ended from outside, as happens when a server is stopped."""

    status = 503
    code = "interrupted"
    title = "The server stopped while it worked on the file"
    advice = "Repeat the request after `Retry-After` seconds. Nothing was charged."

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Retry-After": "5"})


UNSUPPORTED = (
    "This is no image of a supported format; send JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF, BMP or "
    "camera RAW."
)
UNSUPPORTED_MEDIA = (
    "This is no image or video of a supported format; send JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF, "
    "BMP, camera RAW, or video as MP4, MOV or WebM."
)
EMPTY = "The file is empty: not a byte of it was sent."
UNREADABLE = (
    "The file is damaged or incomplete; export it again from its source and send the new file."
)
TOO_MUCH_MEMORY = (
    "The file needs more memory than one file may use; send it with smaller dimensions."
)
INTERRUPTED = "The server was stopped while it worked on the file; send it again."
TOO_SLOW = (
    "The file takes longer to process than one file may; send it with smaller dimensions or "
    "simpler encoding."
)
