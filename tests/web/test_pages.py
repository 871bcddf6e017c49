"""What every HTML page says to the browser about itself."""

import re

import pytest

from tests.client import ApiClient
from tests.conftest import Account, SignIn

PATHS = ["/", "/plans", "/docs/errors", "/docs/errors/not_found"]


def policy_of(header: str) -> dict[str, set[str]]:
    directives = (directive.split() for directive in header.split(";"))
    return {name: set(sources) for name, *sources in directives}


@pytest.mark.parametrize("path", [*PATHS, "/docs", "/account"])
def test_scripts_are_files_of_ours_or_carry_the_answer_s_nonce(
    acme: Account, sign_in: SignIn, path: str
) -> None:
    member = sign_in(acme)
    nonces = set()
    for _ in range(2):
        answer = member.get(path)
        policy = policy_of(answer.headers["Content-Security-Policy"])
        (nonce,) = re.findall(r"'nonce-([\w-]{20,})'", " ".join(policy["script-src"]))
        assert policy["script-src"] == {"'self'", f"'nonce-{nonce}'"}
        scripts = re.findall(r"<script\b[^>]*>", answer.text)
        assert scripts
        assert all(f'nonce="{nonce}"' in script for script in scripts)
        nonces.add(nonce)
    assert len(nonces) == 2


@pytest.mark.parametrize("path", [*PATHS, "/account"])
def test_pages_hold_nothing_inline_and_go_nowhere_else(
    acme: Account, sign_in: SignIn, path: str
) -> None:
    answer = sign_in(acme).get(path)
    policy = policy_of(answer.headers["Content-Security-Policy"])
    for directive in ("style-src", "connect-src", "form-action", "font-src"):
        assert policy[directive] == {"'self'"}, directive
    for directive in ("default-src", "base-uri", "frame-ancestors"):
        assert policy[directive] == {"'none'"}, directive
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", answer.text)


@pytest.mark.parametrize("path", [*PATHS, "/docs", "/account", "/account/nowhere"])
def test_pages_are_kept_by_nobody(acme: Account, sign_in: SignIn, path: str) -> None:
    answer = sign_in(acme).get(path)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("cookie", "shown"),
    [("dark", ' data-theme="dark"'), ("light", ' data-theme="light"'), ('"><script>', "")],
)
def test_the_theme_that_was_chosen_comes_with_the_page(
    client: ApiClient, cookie: str, shown: str
) -> None:
    client.set_cookie("theme", cookie)
    assert f'<html lang="en"{shown}>' in client.get("/plans").text
