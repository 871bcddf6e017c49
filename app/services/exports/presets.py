"""Export presets: named transformations."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from app.errors import Conflict, NotFound
from app.imaging import Format, Transform
from app.models import Export, ExportPreset, new_id
from app.tenancy import TenantSession, insert_if_absent

MAX_PRESETS = 1000
TITLES = {
    Format.JPEG: "JPEG",
    Format.PNG: "PNG",
    Format.WEBP: "WebP",
    Format.AVIF: "AVIF",
    Format.GIF: "GIF",
}
"""How pages write the formats."""


def find(session: TenantSession) -> list[ExportPreset]:
    return list(session.scalars(select(ExportPreset).order_by(ExportPreset.name)))


def get(session: TenantSession, name: str) -> ExportPreset:
    """Raises NotFound."""
    if preset := session.scalar(select(ExportPreset).where(ExportPreset.name == name)):
        return preset
    raise NotFound(f"Export preset '{name}' does not exist in this workspace.")


def by_id(session: TenantSession, preset_id: str) -> ExportPreset:
    """Raises NotFound."""
    if preset := session.scalar(select(ExportPreset).where(ExportPreset.id == preset_id)):
        return preset
    raise NotFound("There is no such export preset here.")


def add(session: TenantSession, name: str, transform: Transform, now: datetime) -> ExportPreset:
    """Create a preset; one that is just the same may be there already. Raises Conflict for another
    of this name."""
    preset, made = _insert(session, name, transform, now)
    if not made and transform_of(preset) != transform:
        raise _taken(name)
    return preset


def change(
    session: TenantSession, preset_id: str, name: str, transform: Transform, now: datetime
) -> ExportPreset:
    """Change and rename a preset. Raises NotFound, Conflict if another has this name."""
    preset = by_id(session, preset_id)
    named = select(ExportPreset.id).where(ExportPreset.name == name, ExportPreset.id != preset_id)
    if session.scalar(named):
        raise _taken(name)
    _set(preset, transform, now)
    preset.name = name
    session.flush()
    return preset


def delete(session: TenantSession, preset_id: str) -> str:
    """Delete a preset and return its name; what was made with it stays. Raises NotFound."""
    preset = by_id(session, preset_id)
    session.delete(preset)
    return preset.name


def uses(session: TenantSession) -> dict[str, int]:
    """How many of the batch exports that are remembered were asked for with each preset, by the
    presets' ids."""
    preset_id = Export.config["preset_id"].as_string()
    rows = session.execute(
        select(preset_id, func.count()).where(preset_id.is_not(None)).group_by(preset_id)
    )
    return {str(one): number for one, number in rows}


def save(
    session: TenantSession, name: str, transform: Transform, now: datetime
) -> tuple[ExportPreset, bool]:
    """Create or change the preset of this name. Returns it and whether it was created. Raises
    Conflict."""
    preset, made = _insert(session, name, transform, now)
    if not made:
        _set(preset, transform, now)
    return preset, made


def transform_of(preset: ExportPreset) -> Transform:
    return Transform(
        format=Format(preset.format) if preset.format else None,
        quality=preset.quality,
        max_width=preset.max_width,
        max_height=preset.max_height,
        preserve_aspect=preset.preserve_aspect,
    )


def in_words(transform: Transform) -> str:
    """``WebP, quality 70, at most 1600 px wide``."""
    parts = ["Format as it is" if transform.format is None else TITLES[transform.format]]
    parts.append(f"quality {transform.quality}")
    width, height = transform.max_width, transform.max_height
    if width and height:
        parts.append(f"at most {width} × {height} px")
    elif width or height:
        parts.append(f"at most {width or height} px {'wide' if width else 'high'}")
    if (width or height) and not transform.preserve_aspect:
        parts.append("proportions not kept")
    return ", ".join(parts)


def _insert(
    session: TenantSession, name: str, transform: Transform, now: datetime
) -> tuple[ExportPreset, bool]:
    """The preset of this name and whether it was created. Raises Conflict."""
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
        **_values(transform),
    )
    return session.scalars(select(ExportPreset).where(ExportPreset.name == name)).one(), made


def _set(preset: ExportPreset, transform: Transform, now: datetime) -> None:
    for field, value in _values(transform).items():
        setattr(preset, field, value)
    preset.updated_at = now


def _taken(name: str) -> Conflict:
    return Conflict(
        f"There is a preset '{name}' already; choose another name.",
        errors=["name: is that of another preset"],
    )


def _values(transform: Transform) -> dict[str, Any]:
    return {
        "format": transform.format,
        "quality": transform.quality,
        "max_width": transform.max_width,
        "max_height": transform.max_height,
        "preserve_aspect": transform.preserve_aspect,
    }
