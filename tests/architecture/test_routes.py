"""Every route names its authentication, and an id of another organization is an id that does not exist."""

import pytest

from tests.client import bearer

SAMPLES: dict[str, str] = {}
"""Endpoint → a path with globex's id. Every route with an id in it that needs a key has one here."""


def rules(app):
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]


def test_every_route_names_its_authentication(app) -> None:
    for rule in rules(app):
        view = app.view_functions[rule.endpoint]
        assert getattr(view, "authentication", None) in ("key", "none"), f"{rule} does not say whom it lets in"


def test_every_route_with_an_id_has_a_sample(app) -> None:
    needing = {
        rule.endpoint
        for rule in rules(app)
        if rule.arguments and app.view_functions[rule.endpoint].authentication == "key"
    }
    assert needing == set(SAMPLES)


@pytest.mark.parametrize("credentials", [{}, bearer("nonsense"), {"x-api-key": ""}])
def test_every_route_that_needs_a_key_refuses_without_one(app, client, credentials) -> None:
    for rule in rules(app):
        if app.view_functions[rule.endpoint].authentication != "key" or rule.arguments:
            continue
        for method in rule.methods - {"OPTIONS", "HEAD"}:
            answer = client.open(rule.rule, method=method, headers=credentials)
            assert answer.status_code == 401, f"{method} {rule}"
            assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_reading_keys_cannot_write_and_writing_keys_cannot_read(app, client, acme, make_key) -> None:
    reading, writing = make_key(acme, scopes=("read",)), make_key(acme, scopes=("write",))
    for rule in rules(app):
        if app.view_functions[rule.endpoint].authentication != "key" or rule.arguments:
            continue
        for method in rule.methods - {"OPTIONS", "HEAD"}:
            answer = client.open(rule.rule, method=method, headers=bearer(writing if method == "GET" else reading))
            assert answer.status_code == 403, f"{method} {rule}"
            assert answer.json["code"] == "forbidden"
