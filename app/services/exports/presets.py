"""Export presets: named transformations."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from app.errors import Conflict, NotFound
from app.imaging import Format, Transform
from app.models import ExportPreset, new_id
from app.tenancy import TenantSession, insert_if_absent

MAX_PRESETS = 1000


def find(session: TenantSession) -> list[ExportPreset]:
    return list(session.scalars(select(ExportPreset).order_by(ExportPreset.name)))


def get(session: TenantSession, name: str) -> ExportPreset:
    """Raises NotFound."""
    if preset := session.scalar(select(ExportPreset).where(ExportPreset.name == name)):
        return preset
    raise NotFound(f"Export preset '{name}' does not exist in this workspace.")


def save(
    session: TenantSession, name: str, transform: Transform, now: datetime
) -> tuple[ExportPreset, bool]:
    """Create or change the preset of this name. Returns it and whether it was created. Raises
    Conflict."""
    values = _values(transform)
    known = session.scalar(select(ExportPreset.id).where(ExportPreset.name == name))
    if (
        known is None
        and (session.scalar(select(func.count()).select_from(ExportPreset)) or 0) >= MAX_PRESETS
    ):
        raise Conflict(
            f"A workspace holds at most {MAX_PRESETS:,} export presets: change one that exists."
        )
    made = insert_if_absent(
        session,
        ExportPreset,
        id=new_id("preset", now),
        name=name,
        created_at=now,
        updated_at=now,
        **values,
    )
    preset = session.scalars(select(ExportPreset).where(ExportPreset.name == name)).one()
    if not made:
        for field, value in values.items():
            setattr(preset, field, value)
        preset.updated_at = now
    return preset, made


def transform_of(preset: ExportPreset) -> Transform:
    return Transform(
        format=Format(preset.format) if preset.format else None,
        quality=preset.quality,
        max_width=preset.max_width,
        max_height=preset.max_height,
        preserve_aspect=preset.preserve_aspect,
    )


def _values(transform: Transform) -> dict[str, Any]:
    return {
        "format": transform.format,
        "quality": transform.quality,
        "max_width": transform.max_width,
        "max_height": transform.max_height,
        "preserve_aspect": transform.preserve_aspect,
    }
