"""Why a picture was refused. The messages go to the API's user: what is wrong, what to do, no names, no internals."""

from app.errors import AppError


class ImagingError(AppError):
    """Any refusal of a picture; catch this one to handle all four."""


class UnsupportedImage(ImagingError):
    status = 422
    code = "unsupported_image"
    title = "The file is no image of a supported format"
    advice = (
        "Send JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF, BMP or camera RAW. The content decides: another name or "
        "Content-Type does not change what a file is."
    )


class UnreadableImage(ImagingError):
    status = 422
    code = "unreadable_image"
    title = "The image is damaged or incomplete"
    advice = "Open it where it was made, export it again and send the new file. Nothing was charged."


class ImageTooLarge(ImagingError):
    status = 413
    code = "image_too_large"
    title = "The image has more pixels than one image may have"
    advice = (
        "Send it with smaller dimensions. The message names the limit that was passed: megapixels (of all frames "
        "together), pixels a side, frames, or the memory that the image needs."
    )


class ImageTooSlow(ImagingError):
    status = 422
    code = "image_too_slow"
    title = "The image takes longer than one image may take"
    advice = "Send it with smaller dimensions or in a simpler encoding, or ask for another output format."


class ImagingInterrupted(ImagingError):
    """The child was ended from outside, as happens when a server is stopped."""

    status = 503
    code = "interrupted"
    title = "The server stopped while it worked on the image"
    advice = "Repeat the request after `Retry-After` seconds. Nothing was charged."

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Retry-After": "5"})


UNSUPPORTED = "This is no image of a supported format; send JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF, BMP or camera RAW."
UNREADABLE = "The image is damaged or incomplete; export it again from its source and send the new file."
TOO_MUCH_MEMORY = "The image needs more memory than one image may use; send it with smaller dimensions."
INTERRUPTED = "The server was stopped while it worked on the image; send it again."
TOO_SLOW = "The image takes longer to process than one image may; send it with smaller dimensions or simpler encoding."
