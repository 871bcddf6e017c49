"""How the API describes itself: descriptions of views, and JSON schemas that are needed often."""

from functools import cache
from typing import Any

from flask_openapi import OpenAPI
from pydantic import BaseModel


class Described(BaseModel):
    """A model that caches its JSON schema. Callers must not change the schema."""

    @classmethod
    @cache
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]  # the cache hides it
        return super().model_json_schema(*args, **kwargs)


class DescribedApp(OpenAPI):
    """An application whose views' descriptions are the paragraphs of their docstrings.

    flask-openapi would turn each line of a docstring into a line of the page.
    """

    def generate_spec_json(self) -> None:
        super().generate_spec_json()  # type: ignore[no-untyped-call]
        for path in self.spec_json["paths"].values():
            for operation in path.values():
                if description := operation.get("description"):
                    paragraphs = description.split("<br/><br/>")
                    joined = [paragraph.replace("<br/>", " ") for paragraph in paragraphs]
                    operation["description"] = "\n\n".join(joined)
