"""Converts the OpenAPI document to a Postman collection (format 2.1.0), which Insomnia, Bruno and
others import too."""

import json
from typing import Any

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
Schema = dict[str, Any]
NUMBERS = {"integer": 1, "number": 1}


def collection(document: Schema, base_url: str) -> Schema:
    """Make a collection with a folder per tag and a request per operation of an OpenAPI 3.1
    document, with its examples.

    All requests use the variables ``baseUrl`` and ``apiKey``; the user fills in the key.
    """
    tags = {tag["name"]: tag for tag in document["tags"]}
    folders: dict[str, list[Schema]] = {name: [] for name in tags}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            folders[operation["tags"][0]].append(_request(document, path, method, operation))
    info = document["info"]
    return {
        "info": {
            "name": info["title"],
            "description": info["description"],
            "version": info["version"],
            "schema": FORMAT,
        },
        "auth": {
            "type": "bearer",
            "bearer": [{"key": "token", "value": "{{apiKey}}", "type": "string"}],
        },
        "variable": [
            {"key": "baseUrl", "value": base_url, "type": "string"},
            {"key": "apiKey", "value": "", "type": "string"},
        ],
        "item": [
            {"name": name, "description": tags[name]["description"], "item": items}
            for name, items in folders.items()
        ],
    }


def example(document: Schema, schema: Schema) -> Any:
    """Return a value that fits the schema: its example or default if it has one. Objects get their
    required properties and those with examples."""
    schema = _resolved(document, schema)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if told := [one for one in schema.get("anyOf", []) if _has_example(document, one)]:
        return example(document, told[0])
    for key in ("example", "const", "default"):
        if key in schema:
            return schema[key]
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            return {
                name: example(document, value)
                for name, value in schema.get("properties", {}).items()
                if name in required or _has_example(document, value)
            }
        case "array":
            return [example(document, schema["items"])]
        case "boolean":
            return False
        case str(kind):
            return schema.get("minimum", NUMBERS.get(kind, kind))
    return example(document, schema["anyOf"][0]) if "anyOf" in schema else None


def _request(document: Schema, path: str, method: str, operation: Schema) -> Schema:
    request: Schema = {
        "method": method.upper(),
        "header": [],
        "url": _url(path, operation.get("parameters", [])),
        "description": operation["description"],
    }
    if not operation.get("security"):
        request["auth"] = {"type": "noauth"}
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(document, content["schema"])
        if media_type == "application/json":
            request["header"] = [{"key": "Content-Type", "value": media_type}]
            raw = json.dumps(example(document, schema), indent=2, ensure_ascii=False)
            request["body"] = {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
        else:
            request["body"] = {"mode": "formdata", "formdata": _form(document, schema)}
    return {"name": operation["summary"], "request": request, "response": []}


def _url(path: str, parameters: list[Schema]) -> Schema:
    """Write ``/v1/images/{id}`` as ``{{baseUrl}}/v1/images/:id``, with all query parameters
    disabled."""
    written = path.replace("{", ":").replace("}", "")
    by_place: dict[str, list[Schema]] = {"query": [], "path": []}
    for one in parameters:
        value = {"key": one["name"], "value": "", "description": one.get("description", "")}
        by_place[one["in"]].append(value | ({"disabled": True} if one["in"] == "query" else {}))
    return {
        "raw": "{{baseUrl}}" + written,
        "host": ["{{baseUrl}}"],
        "path": written.strip("/").split("/"),
        "query": by_place["query"],
        "variable": by_place["path"],
    }


def _form(document: Schema, schema: Schema) -> list[Schema]:
    """Return the fields of a form; optional fields are disabled."""
    fields = []
    for name, value in schema["properties"].items():
        kind = value.get("items", value)
        field = {
            "key": name,
            "description": value.get("description", ""),
            "disabled": name not in schema["required"],
        }
        if kind.get("format") == "binary":
            fields.append(field | {"type": "file", "src": []})
        else:
            shown = example(document, value)
            fields.append(
                field
                | {"type": "text", "value": shown if isinstance(shown, str) else json.dumps(shown)}
            )
    return fields


def _resolved(document: Schema, schema: Schema) -> Schema:
    """Return the schema merged with the one that it refers to; its own keys take precedence."""
    if "$ref" not in schema:
        return schema
    target: Schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return target | schema


def _has_example(document: Schema, schema: Schema) -> bool:
    schema = _resolved(document, schema)
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    return bool(schema.get("examples")) or any(_has_example(document, part) for part in parts)
