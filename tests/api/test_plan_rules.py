"""Who may use the workspace API."""

from tests.client import ApiClient, bearer
from tests.conftest import Account, AccountMaker, KeyMaker
from tests.workspace import upload


def test_a_free_live_key_must_upgrade_and_its_test_key_may_try(
    client: ApiClient, make_account: AccountMaker
) -> None:
    account = make_account(plan="FREE", requests_per_second=1000)
    for method, path in (
        ("GET", "/api/v1/assets"), ("POST", "/api/v1/assets"), ("GET", "/api/v1/collections"),
        ("GET", "/api/v1/export-presets"), ("POST", "/api/v1/exports"),
        ("GET", "/api/v1/assets/image_x/export-url"),
    ):  # fmt: skip
        refused = client.open(path, method=method, headers=bearer(account.key))
        assert (refused.status_code, refused.json["code"]) == (402, "upgrade_required"), path
    assert upload(client, account.test_key)["mediaType"] == "IMAGE"


def test_requests_per_second_are_the_plan_s(client: ApiClient, make_account: AccountMaker) -> None:
    for plan, most in (("TEAM", 3), ("BUSINESS", 10)):
        key = make_account(plan=plan).key
        answers = [client.get("/api/v1/assets", headers=bearer(key)) for _ in range(most + 1)]
        assert answers[0].headers["X-RateLimit-Limit"] == str(most)
        assert [answer.status_code for answer in answers] == [200] * most + [429]


def test_test_keys_have_a_rate_of_their_own(client: ApiClient, make_account: AccountMaker) -> None:
    key = make_account(plan="BUSINESS").test_key
    answers = [client.get("/api/v1/collections", headers=bearer(key)) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]


def test_reading_keys_don_t_write(client: ApiClient, acme: Account, make_key: KeyMaker) -> None:
    asset = upload(client, acme.key)
    reading, writing = make_key(acme, scopes=("read",)), make_key(acme, scopes=("write",))
    url = f"/api/v1/assets/{asset['id']}"
    assert client.get(url, headers=bearer(reading)).status_code == 200
    assert client.patch(url, headers=bearer(reading), json={"name": "x"}).status_code == 403
    assert client.delete(url, headers=bearer(reading)).status_code == 403
    assert client.get(url, headers=bearer(writing)).status_code == 403
    assert client.patch(url, headers=bearer(writing), json={"name": "x"}).status_code == 200
