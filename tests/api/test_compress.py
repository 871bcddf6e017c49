"""``POST /compress/batch``: what a client sees. The pictures themselves are tested in
``tests/imaging``."""

import base64
from io import BytesIO

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from werkzeug.datastructures import FileStorage

from app.imaging import Format
from app.services.filenames import clean_name
from tests.client import ApiClient, bearer, client_of, multipart
from tests.conftest import Account, AccountMaker
from tests.databases import on_both_databases
from tests.images import encoded, opened

FORM = "multipart/form-data"


def spooled(app: Flask) -> list[str]:
    folder = app.extensions["lightwell"].settings.spool_dir
    return [str(path) for path in folder.rglob("*")] if folder.exists() else []


def used(client: ApiClient, account: Account) -> int:
    return client.get("/usage", headers=bearer(account.key)).json["used"]


@on_both_databases
def test_a_batch_comes_back_smaller_in_the_order_sent(
    client: ApiClient, app: Flask, make_account: AccountMaker
) -> None:
    account = make_account(plan="TEAM", requests_per_second=100)
    files = [
        ("one.jpg", encoded()),
        ("two.png", encoded("PNG", 320, 200)),
        ("three.webp", encoded("WEBP", 200, 300)),
    ]

    answer = client.compress(account.key, *files, quality="0.7")

    assert answer.status_code == 200
    body = answer.json
    assert body["processed"] == 3
    assert [result["originalName"] for result in body["results"]] == [
        "one.jpg",
        "two.png",
        "three.webp",
    ]
    assert [result["mimeType"] for result in body["results"]] == [
        "image/jpeg",
        "image/png",
        "image/webp",
    ]
    for (_, sent), result in zip(files, body["results"], strict=True):
        data = base64.b64decode(result["data"], validate=True)
        assert len(data) == result["size"] < result["originalSize"] == len(sent)
        assert opened(data).size == (result["width"], result["height"]) == opened(sent).size
    assert body["usage"] == {"used": 3, "limit": 20_000, "remaining": 19_997}
    assert answer.headers["X-Image-Processing-Usage"] == "3"
    assert answer.content_length == len(answer.data)
    assert spooled(app) == []


def test_both_field_names_keep_the_order(client: ApiClient, acme: Account) -> None:
    answer = client.post(
        "/compress/batch",
        headers=bearer(acme.key),
        data=_multipart_in_order([("files", "a.jpg"), ("files[]", "b.jpg"), ("files", "c.jpg")]),
        content_type="multipart/form-data; boundary=edge",
    )
    assert [result["originalName"] for result in answer.json["results"]] == [
        "a.jpg",
        "b.jpg",
        "c.jpg",
    ]


def _multipart_in_order(files: list[tuple[str, str]], content: bytes | None = None) -> bytes:
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'
        % (field.encode(), name.encode(), content or encoded())
        for field, name in files
    ]
    return b"".join(parts) + b"--edge--\r\n"


@pytest.mark.parametrize("format", list(Format))
def test_every_output_format(client: ApiClient, acme: Account, format: Format) -> None:
    result = client.compress(acme.key, encoded(width=64, height=48), mimeType=format.mime).json[
        "results"
    ][0]
    assert result["mimeType"] == format.mime
    assert opened(base64.b64decode(result["data"])).format == format.name


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"maxWidth": "320"}, (320, 240)),
        ({"maxHeight": "120"}, (160, 120)),
        ({"maxWidth": "320", "maxHeight": "120"}, (160, 120)),
        ({"maxWidth": "5000"}, (640, 480)),
        ({"maxWidth": "", "maxHeight": ""}, (640, 480)),
    ],
)
def test_sizes_fit_and_never_grow(
    client: ApiClient, acme: Account, fields: dict[str, str], size: tuple[int, int]
) -> None:
    result = client.compress(acme.key, encoded(), **fields).json["results"][0]
    assert (result["width"], result["height"]) == size


def test_quality_is_honoured(client: ApiClient, acme: Account) -> None:
    sizes = [
        client.compress(acme.key, encoded("PNG"), quality=quality, mimeType="image/jpeg").json[
            "results"
        ][0]["size"]
        for quality in ("0", "0.3", "0.8", "1")
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] * 4 < sizes[-1]


def test_an_original_that_cannot_shrink_is_kept_and_said_so(
    client: ApiClient, acme: Account
) -> None:
    tiny = encoded("JPEG", 64, 64, quality=5, optimize=True)
    result = client.compress(acme.key, tiny, quality="1").json["results"][0]
    assert result["keptOriginal"] is True
    assert result["size"] <= len(tiny)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"quality": "1.1"}, "quality"),
        ({"quality": "-0.1"}, "quality"),
        ({"quality": "nan"}, "quality"),
        ({"quality": "high"}, "quality"),
        ({"maxWidth": "0"}, "maxWidth"),
        ({"maxWidth": "12.5"}, "maxWidth"),
        ({"maxHeight": "-4"}, "maxHeight"),
        ({"maxHeight": "9" * 5000}, "maxHeight"),
        ({"mimeType": "image/tiff"}, "mimeType"),
        ({"partial": "perhaps"}, "partial"),
    ],
)
def test_a_bad_field_is_named_and_free(
    client: ApiClient, acme: Account, fields: dict[str, str], field: str
) -> None:
    answer = client.compress(acme.key, encoded(), **fields)
    assert answer.status_code == 400
    assert answer.json["errors"][0].startswith(f"{field}: ")
    assert used(client, acme) == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"GIF89a", b"not an image" * 99, encoded()[:2000], b"%!PS-Adobe-3.0 EPSF", b"<svg/>"],
)
def test_an_unreadable_file_is_422_named_and_free(
    client: ApiClient, app: Flask, acme: Account, body: bytes
) -> None:
    answer = client.compress(acme.key, ("bad.jpg", body))
    assert answer.status_code == 422
    assert answer.json["errors"][0].startswith("bad.jpg: ")
    assert answer.json["code"] in ("unsupported_image", "unreadable_image")
    assert "X-Image-Processing-Usage" not in answer.headers
    assert used(client, acme) == 0
    assert spooled(app) == []


def test_one_bad_file_refuses_the_batch_and_every_bad_one_is_named(
    client: ApiClient, acme: Account
) -> None:
    answer = client.compress(acme.key, encoded(), ("x.gif", b"GIF"), encoded(), ("y.png", b"PNG"))
    assert answer.status_code == 422
    assert [problem.partition(":")[0] for problem in answer.json["errors"]] == ["x.gif", "y.png"]
    assert used(client, acme) == 0


@on_both_databases
def test_partial_returns_and_charges_the_good_ones(
    client: ApiClient, make_account: AccountMaker
) -> None:
    account = make_account(plan="FREE", requests_per_second=100)
    answer = client.compress(
        account.key, encoded(), ("x.gif", b"GIF"), encoded(seed=2), partial="true"
    )
    assert answer.status_code == 200
    assert answer.json["processed"] == len(answer.json["results"]) == 2
    assert [failure["originalName"] for failure in answer.json["failures"]] == ["x.gif"]
    assert answer.headers["X-Image-Processing-Usage"] == "2"
    assert used(client, account) == 2


def test_partial_with_nothing_good_is_422(client: ApiClient, acme: Account) -> None:
    assert client.compress(acme.key, b"nothing", partial="true").status_code == 422


def test_a_picture_over_the_limits_is_413(client: ApiClient, acme: Account) -> None:
    buffer = BytesIO()
    Image.new("1", (12_000, 9_000)).save(buffer, "PNG")
    answer = client.compress(acme.key, ("huge.png", buffer.getvalue()))
    assert (answer.status_code, answer.json["code"]) == (413, "image_too_large")


@on_both_databases
def test_test_keys_work_and_count_nothing(client: ApiClient, acme: Account) -> None:
    answer = client.compress(acme.test_key, encoded())
    assert answer.status_code == 200
    assert "X-Image-Processing-Usage" not in answer.headers
    assert used(client, acme) == 0


@on_both_databases
def test_the_monthly_limit_is_a_429_before_any_work(
    client: ApiClient, make_account: AccountMaker
) -> None:
    account = make_account(plan="FREE", monthly_images=3, requests_per_second=100)
    assert client.compress(account.key, encoded(), encoded()).status_code == 200
    answer = client.compress(account.key, encoded(), encoded())
    assert (answer.status_code, answer.json["code"]) == (429, "monthly_limit_reached")
    assert client.compress(account.key, encoded()).status_code == 200
    assert used(client, account) == 3


def test_plan_limits_on_files(client: ApiClient, app: Flask, make_account: AccountMaker) -> None:
    account = make_account(plan="FREE", batch_files=2, file_mb=1, requests_per_second=100)
    many = client.compress(account.key, *[encoded()] * 3)
    assert (many.status_code, many.json["code"]) == (413, "too_large")
    assert "2 a batch" in many.json["error"]
    large = client.compress(account.key, ("large.bin", b"\0" * (1024 * 1024 + 1)))
    assert (large.status_code, large.json["code"]) == (413, "too_large")
    assert "large.bin is larger than 1 MB" in large.json["error"]
    assert used(client, account) == 0
    assert spooled(app) == []


def test_a_body_beyond_plan_or_server_is_413(client: ApiClient, make_account: AccountMaker) -> None:
    account = make_account(plan="FREE", batch_files=1, file_mb=1, requests_per_second=100)
    assert client.compress(account.key, *[b"\0" * 1024 * 1024] * 3).status_code == 413


def test_ten_thousand_fields_are_refused(client: ApiClient, app: Flask, acme: Account) -> None:
    part = b'--edge\r\nContent-Disposition: form-data; name="field%d"\r\n\r\nx\r\n'
    answer = client.post(
        "/compress/batch",
        headers=bearer(acme.key),
        data=b"".join(part % number for number in range(10_000)) + b"--edge--\r\n",
        content_type="multipart/form-data; boundary=edge",
    )
    assert answer.status_code == 413
    assert spooled(app) == []


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("multipart/form-data", b"--edge\r\n", 400),
        ("multipart/form-data; boundary=edge", b"", 400),
        ("multipart/form-data; boundary=edge", b"--edge--\r\n", 400),
        ("multipart/form-data; boundary=edge", b"--edge\r\nContent-Disposition: "
                                               b"form-data\r\n\r\nx", 400),
        ("multipart/form-data; boundary=edge", b'--edge\r\nContent-Disposition: form-data; '
                                               b'filename="a"', 400),
        ("multipart/form-data; boundary=other", b"--edge\r\n\r\n--edge--", 400),
        ("application/json", b"{}", 415),
        ("text/plain", b"hello", 415),
        ("", b"", 415),
    ],
)  # fmt: skip
def test_a_broken_form_is_refused(
    client: ApiClient, app: Flask, acme: Account, content_type: str, body: bytes, status: int
) -> None:
    answer = client.post(
        "/compress/batch", headers=bearer(acme.key), data=body, content_type=content_type
    )
    assert answer.status_code == status
    assert spooled(app) == []


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(cut=st.tuples(st.integers(0, 900), st.integers(0, 60)), junk=st.binary(max_size=40))
def test_whatever_becomes_of_a_form_it_is_answered_and_leaves_nothing(
    app: Flask, make_account: AccountMaker, cut: tuple[int, int], junk: bytes
) -> None:
    """A valid form with a part of it replaced by other bytes."""
    account = make_account(requests_per_second=100_000)
    whole = (
        b'--edge\r\nContent-Disposition: form-data; name="quality"\r\n\r\n0.5\r\n'
        + _multipart_in_order([("files[]", "a.jpg")], encoded(width=8, height=8, quality=30))
    )
    start, length = cut
    answer = client_of(app).post(
        "/compress/batch",
        headers=bearer(account.key),
        data=whole[:start] + junk + whole[start + length :],
        content_type="multipart/form-data; boundary=edge",
    )
    assert answer.status_code in (200, 400, 413, 422)
    assert used(client_of(app), account) == (1 if answer.status_code == 200 else 0)
    assert spooled(app) == []


def test_a_body_that_ends_early_is_refused_and_leaves_nothing(
    client: ApiClient, app: Flask, acme: Account
) -> None:
    whole = _multipart_in_order([("files[]", "a.jpg"), ("files[]", "b.jpg")])
    answer = client.post(
        "/compress/batch",
        headers=bearer(acme.key),
        data=whole[: len(whole) - 500],
        content_type="multipart/form-data; boundary=edge",
    )
    assert answer.status_code == 400
    assert used(client, acme) == 0
    assert spooled(app) == []


def test_files_in_unknown_fields_and_fields_that_should_be_files(
    client: ApiClient, acme: Account
) -> None:
    unknown = client.post(
        "/compress/batch", headers=bearer(acme.key), data={"image": (BytesIO(encoded()), "a.jpg")}
    )
    assert (unknown.status_code, unknown.json["errors"]) == (400, ["image: unknown field"])
    text = client.post(
        "/compress/batch", headers=bearer(acme.key), data={"files[]": "text"}, content_type=FORM
    )
    assert (text.status_code, text.json["errors"]) == (400, ["files[]: must be a file"])


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\cat.jpg", "cat.jpg"),
        ("naïve \N{CAMERA}.jpg", "naïve \N{CAMERA}.jpg"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("tab\tnul\x00.jpg", "tabnul.jpg"),
        ("n" * 4096 + ".jpg", "n" * 255),
        ("/", "unnamed"),
    ],
)
def test_file_names_do_no_harm(
    client: ApiClient, app: Flask, acme: Account, sent: str, shown: str
) -> None:
    assert clean_name(sent) == shown
    if sent.isprintable() and "\\" not in sent:
        answer = client.compress(acme.key, (sent, encoded(width=32, height=32)))
        assert answer.json["results"][0]["originalName"] == shown
    assert spooled(app) == []


def test_a_crash_in_the_work_releases_the_reservation(
    app: Flask, client: ApiClient, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("the pool broke")

    monkeypatch.setattr(app.extensions["lightwell"].imaging, "submit", crash)
    answer = client.compress(acme.key, encoded())
    assert answer.status_code == 500
    assert "pool broke" not in answer.text
    assert used(client, acme) == 0
    assert spooled(app) == []


@pytest.mark.parametrize(
    ("path", "field", "name"),
    [("/compress/batch", "files[]", "quality"), ("/v1/images/upload", "image", "name")],
)
def test_options_in_the_url_are_refused_by_name(
    client: ApiClient, acme: Account, path: str, field: str, name: str
) -> None:
    file = FileStorage(BytesIO(encoded()), "one.jpg")
    answer = client.post(
        f"{path}?{name}=0.5&utm=x", headers=bearer(acme.key), **multipart([(field, file)])
    )
    assert answer.status_code == 400
    assert answer.json["errors"] == [f"{name}: send it as a field of the form, not in the URL"]
