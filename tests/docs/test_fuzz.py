"""Requests generated from the description itself: every answer must be one that it promises."""

from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask_openapi import OpenAPI
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.billing import BillingEnv
from tests.client import bearer
from tests.conftest import AccountMaker

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
OPERATIONS = [
    ("POST", "/auth/register"),
    ("POST", "/auth/rotate-key"),
    ("POST", "/compress/batch"),
    ("GET", "/v1/images"),
    ("POST", "/v1/images"),
    ("POST", "/v1/images/upload"),
    ("POST", "/v1/images/imagine"),
    ("GET", "/v1/images/{id}"),
    ("DELETE", "/v1/images/{id}"),
    ("GET", "/v1/images/{id}/download"),
    ("POST", "/v1/images/{id}/publish"),
    ("POST", "/v1/images/{id}/unpublish"),
    ("POST", "/v1/images/{id}/resize"),
    ("POST", "/v1/images/{id}/crop"),
    ("POST", "/v1/images/{id}/rotate"),
    ("POST", "/v1/images/{id}/mirror"),
    ("POST", "/v1/images/{id}/convert"),
    ("POST", "/v1/images/{id}/blur"),
    ("POST", "/v1/images/{id}/modulate"),
    ("POST", "/v1/images/{id}/watermark"),
    ("POST", "/v1/images/{id}/remove-background"),
    ("POST", "/v1/images/{id}/transform"),
    ("GET", "/api/v1/assets"),
    ("POST", "/api/v1/assets"),
    ("GET", "/api/v1/assets/{id}"),
    ("PATCH", "/api/v1/assets/{id}"),
    ("DELETE", "/api/v1/assets/{id}"),
    ("GET", "/api/v1/assets/{id}/export-url"),
    ("GET", "/api/v1/collections"),
    ("POST", "/api/v1/collections"),
    ("GET", "/api/v1/collections/{id}"),
    ("PATCH", "/api/v1/collections/{id}"),
    ("DELETE", "/api/v1/collections/{id}"),
    ("GET", "/api/v1/export-presets"),
    ("POST", "/api/v1/export-presets"),
    ("GET", "/api/v1/exports"),
    ("POST", "/api/v1/exports"),
    ("GET", "/api/v1/exports/{id}"),
    ("DELETE", "/api/v1/exports/{id}"),
    ("GET", "/usage"),
    ("POST", "/billing/checkout"),
    ("POST", "/billing/portal"),
]


def test_the_list_is_complete(app: OpenAPI) -> None:
    described = {
        (method.upper(), path) for path, item in app.api_doc["paths"].items() for method in item
    }
    assert described == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_generated_requests_get_promised_answers(
    app: Flask, billing_env: BillingEnv, make_account: AccountMaker, method: str, path: str
) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    credentials = bearer(make_account(requests_per_second=100_000).key)

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=schema[path][method].as_strategy())
    def run(case: schemathesis.Case[Any]) -> None:
        answer = case.call(headers=credentials)
        case.validate_response(answer, checks=CHECKS)
        assert answer.status_code < 500 or answer.status_code == 501

    run()
