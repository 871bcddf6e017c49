"""The fields of forms that say how images are transformed: of presets and of exports."""

from collections.abc import Mapping
from typing import TypeVar

from app.imaging import Format, Transform
from app.models import Organization
from app.services.exports.presets import TITLES
from app.tenancy import TenantSession
from app.web.context import principal
from app.web.errors import validated
from app.web.schema import TransformFields

FORMATS = [("", "Each image's own"), *((one.value, TITLES[one]) for one in Format)]
Form = TypeVar("Form", bound=TransformFields)


def read(model: type[Form], form: Mapping[str, str]) -> Form:
    """What was typed, by a model that the API has too. Empty fields are left out; a box that is
    not ticked says no. Raises BadRequest."""
    sent = {name: form.get(name, "").strip() for name in model.model_fields}
    given: dict[str, object] = {name: text for name, text in sent.items() if text}
    return validated(model, given | {"preserveAspect": "preserveAspect" in form})


def transform_of(form: TransformFields) -> Transform:
    return form.over(Transform())


def typed(form: Mapping[str, str]) -> dict[str, object]:
    """The values of a form that comes back as it was sent."""
    names = ("format", "quality", "maxWidth", "maxHeight")
    values: dict[str, object] = {name: form.get(name, "")[:32] for name in names}
    return values | {"preserveAspect": "preserveAspect" in form}


def values_of(transform: Transform) -> dict[str, object]:
    return {
        "format": transform.format.value if transform.format else "",
        "quality": transform.quality,
        "maxWidth": transform.max_width or "",
        "maxHeight": transform.max_height or "",
        "preserveAspect": transform.preserve_aspect,
    }


def defaults(session: TenantSession) -> Transform:
    """What a new form begins with: the organization's preferences."""
    organization = session.get_one(Organization, principal().org_id)
    chosen = organization.default_format
    return Transform(Format(chosen) if chosen else None, organization.default_quality)
