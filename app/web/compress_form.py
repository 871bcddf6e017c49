"""What one chooses when files are compressed, in the API and on the pages."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from app.imaging import Format, Transform, media

Side = Annotated[int | None, Field(ge=1, le=100_000, json_schema_extra={"example": 1280})]


def _format(value: object) -> object:
    try:
        return Format.from_mime(media.accepted(value) or value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"must be one of {', '.join(format.mime for format in Format)}") from None


class CompressForm(BaseModel):
    """The fields of the form. The files themselves are spooled to disk as they arrive."""

    quality: float = Field(
        0.8, ge=0, le=1, allow_inf_nan=False, description="0 is smallest, 1 is best."
    )
    maxWidth: Side = Field(None, description="Shrink images wider than this, in pixels.")
    maxHeight: Side = Field(None, description="Shrink images taller than this, in pixels.")
    mimeType: Annotated[Format | None, BeforeValidator(_format)] = Field(
        None,
        description="Force an output format. By default JPEG, PNG, WebP, GIF and AVIF stay what "
        "they are, and the rest becomes JPEG, or PNG where it is transparent.",
        json_schema_extra={
            "anyOf": [{"type": "string", "enum": [format.mime for format in Format]}]
        },
    )
    partial: bool = Field(False, description="Return the good results even where some files fail.")

    @property
    def transform(self) -> Transform:
        return Transform(
            format=self.mimeType,
            quality=max(1, round(self.quality * 100)),
            max_width=self.maxWidth,
            max_height=self.maxHeight,
        )
