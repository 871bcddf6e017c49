"""The form that makes a signed URL of a transformed copy, and says what it costs."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import urlencode

from app.errors import AppError, BadRequest, NotFound
from app.imaging import ImagingError
from app.models import Asset, MediaType
from app.services.processing_context import ProcessingContext
from app.tenancy import TenantSession
from app.web import export_urls
from app.web.context import container
from app.web.errors import validated
from app.web.export_urls import ExportUrlQuery, MadeUrl
from app.web.page_forms import problems_of

FIELDS = tuple(ExportUrlQuery.model_fields)
MAX_TEXT = 300
KEY = "<key>"


@dataclass(frozen=True)
class ExportForm:
    """What was typed, as text by field; the query that it makes, unless it was ``refused``.

    ``is_made`` says whether the copy is there already, None where nobody has looked; ``result`` is
    the URL that was made."""

    typed: Mapping[str, str]
    query: ExportUrlQuery | None = None
    is_made: bool | None = None
    result: MadeUrl | None = None
    refusal: AppError | None = None
    code: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, sent: Mapping[str, str]) -> Self:
        typed = {name: sent[name].strip()[:MAX_TEXT] for name in FIELDS if sent.get(name)}
        try:
            return cls(typed, validated(ExportUrlQuery, typed))
        except BadRequest as refusal:
            return cls(typed, refusal=refusal)

    @property
    def problems(self) -> dict[str, str]:
        return problems_of(self.refusal)

    @property
    def saved(self) -> int | None:
        """By how many percent the copy is smaller than the original; negative where it is
        larger."""
        if self.result is None:
            return None
        return round(100 * (1 - self.result.rendition.size / self.result.asset.size))

    def checked(self, session: TenantSession, asset: Asset) -> "ExportForm":
        """With ``is_made`` and the code."""
        if self.query is None or asset.media_type == MediaType.VIDEO:
            return self
        try:
            is_made = export_urls.is_made(session, asset, self.query)
        except NotFound as refusal:  # the preset
            return replace(self, refusal=refusal)
        return replace(self, is_made=is_made, code=self._code(asset.id))

    def made(
        self, asset_id: str, admitted: Callable[[], AbstractContextManager[ProcessingContext]]
    ) -> "ExportForm":
        """With the result, or why there is none."""
        if self.query is None:
            return self
        try:
            result = export_urls.make(asset_id, self.query, admitted)
        except (AppError, ImagingError) as refusal:
            if isinstance(refusal, NotFound) and "preset" not in refusal.message:
                raise
            return replace(self, refusal=refusal)
        return replace(self, is_made=True, result=result, code=self._code(asset_id))

    def _code(self, asset_id: str) -> dict[str, str]:
        """The same as a request of the API, by language."""
        url = f"{container().settings.site}/api/v1/assets/{asset_id}/export-url"
        query = self.query.model_dump(mode="json", exclude_unset=True) if self.query else {}
        query = {name: value for name, value in query.items() if value is not None}
        if "format" in query:
            query["format"] = query["format"].upper()
        text = {name: str(value).lower() if isinstance(value, bool) else value
                for name, value in query.items()}  # fmt: skip
        whole = f"{url}?{urlencode(text)}" if text else url
        params = f"    params={query!r},\n" if query else ""
        return {
            "curl": f"curl '{whole}' \\\n  -H 'Authorization: Bearer {KEY}'",
            "Python": (
                f"import requests\n\nanswer = requests.get(\n    {json.dumps(url)},\n{params}"
                f'    headers={{"Authorization": "Bearer {KEY}"}},\n)\n'
                'answer.raise_for_status()\nprint(answer.json()["url"])'
            ),
            "JavaScript": (
                f"const answer = await fetch(\n  {json.dumps(whole)},\n"
                f'  {{ headers: {{ Authorization: "Bearer {KEY}" }} }},\n);\n'
                "if (!answer.ok) throw new Error((await answer.json()).error);\n"
                "console.log((await answer.json()).url);"
            ),
        }
