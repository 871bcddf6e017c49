"""The operations of the images API, as requests write them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from tinycss2.color4 import Color, parse_color

from app.errors import BadRequest
from app.imaging import Format, Transform
from app.imaging.operations import (
    BLACK,
    Axis,
    Blur,
    Colour,
    Crop,
    Fit,
    Layer,
    Mirror,
    Modulate,
    Operation,
    Position,
    Repetition,
    Resize,
    Rotate,
    Watermark,
)
from app.web.schema import Body, Id, Name, Quality

MAX_OPERATIONS = 20
MAX_WATERMARKS = 5
MAX_SIDE = 10_000
ANGLE_LIMIT = 3600
OPAQUE = 255
WRITTEN = Literal["jpeg", "jpg", "png", "webp", "avif", "gif"]


def _colour(text: object) -> Colour:
    """Parse a colour of CSS Color 4 §4-6; sRGB only."""
    parsed = parse_color(text) if isinstance(text, str) and len(text) <= 64 else None
    if not isinstance(parsed, Color) or parsed.space != "srgb":
        raise ValueError(
            "must be a CSS colour: a name, #rgb, #rgba, #rrggbb, #rrggbbaa or transparent"
        )
    red, green, blue, alpha = (round(255 * min(max(part, 0.0), 1.0)) for part in parsed)
    return red, green, blue, alpha


def _hex(colour: Colour) -> str:
    """``#ff8800``, with two more digits where it is transparent."""
    return "#" + bytes(colour[:3] if colour[3] == OPAQUE else colour).hex()


AnyColour = Annotated[
    Colour,
    BeforeValidator(_colour),
    PlainSerializer(_hex, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["#ff8800", "transparent"]}),
]
Length = Annotated[int, Field(ge=1, le=MAX_SIDE)]


def _rounded(number: object) -> object:
    """Round to the nearest pixel, because clients send computed positions."""
    return (
        math.floor(number + 0.5) if isinstance(number, float) and math.isfinite(number) else number
    )


FAR = MAX_SIDE * 2
AS_SENT = WithJsonSchema({"type": "number", "minimum": -FAR, "maximum": FAR})
Place = Annotated[int, BeforeValidator(_rounded), Field(ge=-FAR, le=FAR), AS_SENT]
Corner = Annotated[int, Field(ge=0, le=2**31 - 1)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Multiplier = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class Resizing(Body):
    width: Length | None = Field(
        None, description="Pixels. One of the two suffices: the ratio stays.", examples=[800]
    )
    height: Length | None = Field(
        None, validate_default=True, description="Pixels.", examples=[600]
    )
    fit: Annotated[Fit, Field(strict=False)] = Field(
        Fit.FILL,
        description="Where the ratio changes: `fill` stretches, `contain` adds bars, `cover` cuts "
        "off.",
    )
    position: Annotated[Position, Field(strict=False)] = Field(
        Position.CENTER,
        description="Where the image stands between its bars, or what is kept of it.",
    )
    letterbox_color: AnyColour = Field(
        BLACK, description="Of the bars.", json_schema_extra={"default": "#000000"}
    )

    @field_validator("height")
    @classmethod
    def _one_of_two(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is None and info.data.get("width", 0) is None:
            raise ValueError("width or height is required")
        return value

    def operation(self) -> Resize:
        return Resize(self.width, self.height, self.fit, self.position, self.letterbox_color)


class Cropping(Body):
    """The corners must be inside the image; `x2` and `y2` are where what is kept ends."""

    x1: Corner = Field(examples=[0])
    y1: Corner = Field(examples=[0])
    x2: Corner = Field(examples=[400])
    y2: Corner = Field(examples=[300])

    @field_validator("x2", "y2")
    @classmethod
    def _past_the_first(cls, value: int, info: ValidationInfo) -> int:
        first = f"{(info.field_name or '')[0]}1"
        if value <= info.data.get(first, -1):
            raise ValueError(f"must be greater than {first}")
        return value

    def operation(self) -> Crop:
        return Crop(self.x1, self.y1, self.x2, self.y2)


class Rotation(Body):
    angle: Real = Field(ge=-ANGLE_LIMIT, le=ANGLE_LIMIT, description="Clockwise.", examples=[90])
    unit: Literal["degrees", "radians"] = "degrees"
    background_color: AnyColour = Field(
        BLACK,
        description="Of the corners that come with other than right angles.",
        json_schema_extra={"default": "#000000"},
    )

    def operation(self) -> Rotate:
        return Rotate(
            math.degrees(self.angle) if self.unit == "radians" else self.angle,
            self.background_color,
        )


class Mirroring(Body):
    mode: Annotated[Axis, Field(strict=False)] = Field(
        description="`horizontal` swaps left and right."
    )

    def operation(self) -> Mirror:
        return Mirror(self.mode)


class Blurring(Body):
    sigma: Real = Field(
        20.0, ge=0.3, le=1000, description="Standard deviation in pixels.", examples=[5]
    )

    def operation(self) -> Blur:
        return Blur(self.sigma)


class Modulation(Body):
    brightness: Multiplier = Field(1.0, examples=[1.2])
    saturation: Multiplier = Field(1.0, examples=[0.5])
    hue: int = Field(0, ge=-36_000, le=36_000, description="Degrees that colours are turned by.")
    lightness: Real = Field(
        0.0, ge=-1000, le=1000, description="Added to the lightness, which is 0 to 100."
    )

    def operation(self) -> Modulate:
        return Modulate(self.brightness, self.saturation, self.hue, self.lightness)


class OneWatermark(Body):
    id: Id = Field(
        description="Another image, PNG with transparency for instance.",
        examples=["image_0mpn9k2ucq3vd1x7b8e5h4zt"],
    )
    top: Place = Field(
        0, description="Pixels from the image's upper edge, rounded; it may begin or end outside."
    )
    left: Place = Field(0, description="Pixels from the image's left edge, rounded.")
    width: Length | None = Field(
        None, description="Pixels; with one of the two, the ratio stays.", examples=[200]
    )
    height: Length | None = Field(None, examples=[80])
    repetition_mode: Annotated[Repetition, Field(strict=False)] = Repetition.NO_REPEAT

    def layer(self) -> Layer:
        return Layer(self.id, self.left, self.top, self.width, self.height, self.repetition_mode)


class Watermarking(Body):
    watermarks: list[OneWatermark] = Field(min_length=1, max_length=MAX_WATERMARKS)

    def operation(self) -> Watermark:
        return Watermark(tuple(one.layer() for one in self.watermarks))


def _format(name: str) -> Format:
    return Format("jpeg" if name == "jpg" else name)


class Conversion(Body):
    format: Annotated[WRITTEN, PlainSerializer(lambda name: _format(name).value, when_used="json")]
    quality: Quality | None = Field(
        None, description="1 is smallest, 100 is best. Without it, one that suits both formats."
    )

    def output(self) -> tuple[Format, int | None]:
        return _format(self.format), self.quality


class Step(Body):
    """One operation, under its name."""

    resize: Resizing | None = None
    crop: Cropping | None = None
    rotate: Rotation | None = None
    mirror: Mirroring | None = None
    blur: Blurring | None = None
    modulate: Modulation | None = None
    watermark: Watermarking | None = None
    convert: Conversion | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Step":
        if len(self.model_fields_set) != 1 or self.chosen is None:
            raise ValueError(f"must name one operation: {', '.join(type(self).model_fields)}")
        return self

    @property
    def name(self) -> str:
        return next(iter(self.model_fields_set))

    @property
    def chosen(self) -> Any:
        return getattr(self, self.name)


class Named(Body):
    name: Name | None = Field(
        None,
        description="Of the new image; by default that of the image it is made of.",
        examples=["hero"],
    )


class ResizeBody(Resizing, Named): ...


class CropBody(Cropping, Named): ...


class RotateBody(Rotation, Named): ...


class MirrorBody(Mirroring, Named): ...


class BlurBody(Blurring, Named): ...


class ModulateBody(Modulation, Named): ...


class WatermarkBody(Watermarking, Named): ...


class ConvertBody(Conversion, Named): ...


class TransformBody(Named):
    """Done in this order, in one go; the last `convert` decides the format."""

    operations: list[Step] = Field(
        min_length=1,
        max_length=MAX_OPERATIONS,
        examples=[
            [{"resize": {"width": 800}}, {"blur": {"sigma": 4}}, {"convert": {"format": "webp"}}]
        ],
    )

    @field_validator("operations")
    @classmethod
    def _not_too_many_watermarks(cls, value: list[Step]) -> list[Step]:
        if sum(len(step.watermark.watermarks) for step in value if step.watermark) > MAX_WATERMARKS:
            raise ValueError(f"at most {MAX_WATERMARKS} watermarks in all")
        return value

    def asked(self) -> list["AskedOperation"]:
        return [
            AskedOperation(step.chosen, f"operations.{number}.{step.name}.")
            for number, step in enumerate(self.operations)
        ]


@dataclass(frozen=True)
class AskedOperation:
    """One operation of a request, and the prefix of its field names."""

    step: Any
    prefix: str = ""


def transform_of(asked: Sequence[AskedOperation]) -> Transform:
    """Return all operations as one Transform. Without a conversion the image keeps its format and
    quality."""
    output: tuple[Format | None, int | None] = (None, None)
    operations: list[Operation] = []
    for one in asked:
        if isinstance(one.step, Conversion):
            output = one.step.output()
        else:
            operations.append(one.step.operation())
    return Transform(*output, operations=tuple(operations))


def written(asked: Sequence[AskedOperation]) -> list[dict[str, Any]]:
    """The operations as a request of ``transform`` writes them, without what is the default
    anyway: ``[{"resize": {"width": 800}}]``."""
    names = {
        model: name
        for name, field in Step.model_fields.items()
        for model in get_args(field.annotation)
    }
    return [
        {
            next(names[kind] for kind in type(one.step).__mro__ if kind in names): (
                one.step.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
            )
        }
        for one in asked
    ]


def watermark_ids(asked: Sequence[AskedOperation]) -> dict[str, str]:
    """Return the ids of all watermarks, by their field names."""
    return {
        f"{one.prefix}watermarks.{number}.id": watermark.id
        for one in asked
        if isinstance(one.step, Watermarking)
        for number, watermark in enumerate(one.step.watermarks)
    }


def check_crops(asked: Sequence[AskedOperation], width: int, height: int) -> None:
    """Raise BadRequest for crop corners outside the image, whose size the operations before the
    crop may have changed."""
    for one in asked:
        if isinstance(one.step, Conversion):
            continue
        if isinstance(one.step, Cropping):
            limits = {"x2": (one.step.x2, width, "width"), "y2": (one.step.y2, height, "height")}
            problems = [
                f"{one.prefix}{field}: must be at most {most}, the image's {side}"
                for field, (value, most, side) in limits.items()
                if value > most
            ]
            if problems:
                raise BadRequest.of_fields(problems, "The crop is not inside the image.")
        width, height = one.step.operation().size(width, height)
