"""Why a picture was refused. The messages go to the API's user: what is wrong, what to do, no names, no internals."""

from app.errors import AppError


class ImagingError(AppError):
    """Any refusal of a picture; catch this one to handle all four."""


class UnsupportedImage(ImagingError):
    status = 422
    code = "unsupported_image"
    title = "Unsupported image"


class UnreadableImage(ImagingError):
    status = 422
    code = "unreadable_image"
    title = "Unreadable image"


class ImageTooLarge(ImagingError):
    status = 413
    code = "image_too_large"
    title = "Image too large"


class ImageTooSlow(ImagingError):
    status = 422
    code = "image_too_slow"
    title = "Image too slow to process"


UNSUPPORTED = "This is no image of a supported format; send JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF, BMP or camera RAW."
UNREADABLE = "The image is damaged or incomplete; export it again from its source and send the new file."
TOO_MUCH_MEMORY = "The image needs more memory than one image may use; send it with smaller dimensions."
TOO_SLOW = "The image takes longer to process than one image may; send it with smaller dimensions or simpler encoding."
