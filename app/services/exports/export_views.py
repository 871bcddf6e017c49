"""Batch exports as pages show them: in words, with who asked for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from app.models import ActorKind, ApiKey, Export, ExportPreset, User
from app.services.exports import presets
from app.services.exports.export_jobs import UNFINISHED
from app.services.exports.exports import FAILURES, Config
from app.tenancy import TenantSession


@dataclass(frozen=True)
class ShownExport:
    """``words`` say what was done with the images; ``preset`` is the present name of the preset
    that it came from. ``asked_by`` is None for somebody who is gone."""

    export: Export
    words: str
    by_name: bool
    preset: str | None
    asked_by: str | None
    failures: list[dict[str, str]]

    @property
    def is_running(self) -> bool:
        return self.export.status in UNFINISHED


def shown(session: TenantSession, exports: Sequence[Export]) -> list[ShownExport]:
    names, by_preset = _names(session, exports), _presets(session)
    return [_shown(export, names, by_preset) for export in exports]


def _shown(export: Export, names: dict[str, str], by_preset: dict[str, str]) -> ShownExport:
    config = Config.from_json(export.config)
    return ShownExport(
        export=export,
        words=presets.in_words(config.transform),
        by_name=config.by_name,
        preset=by_preset.get(config.preset_id or ""),
        asked_by=names.get(export.actor_id),
        failures=export.config.get(FAILURES, []),
    )


def _names(session: TenantSession, exports: Sequence[Export]) -> dict[str, str]:
    """The names of people and keys, by their ids."""
    ids: dict[str, set[str]] = {kind: set() for kind in ActorKind}
    for export in exports:
        ids[export.actor_kind].add(export.actor_id)
    people = select(User.id, func.coalesce(User.name, User.email))
    keys = select(ApiKey.id, ApiKey.name)
    return {
        **dict(session.execute(people.where(User.id.in_(ids[ActorKind.USER]))).all()),
        **{
            key_id: f"the key “{name}”"
            for key_id, name in session.execute(keys.where(ApiKey.id.in_(ids[ActorKind.KEY])))
        },
    }


def _presets(session: TenantSession) -> dict[str, str]:
    return dict(session.execute(select(ExportPreset.id, ExportPreset.name)).all())
