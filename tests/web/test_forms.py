"""Forms to the byte, as clients write them, on every endpoint that takes one.

Each way has the bytes that its client sends (or that people copy from an example), with the
endpoint's own field names.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask_openapi import OpenAPI
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import MultipartDecoder

from app.errors import BadRequest, TooLarge
from app.services.filenames import clean_name
from app.web.forms import HEADER_BYTES, FormParser, parameters
from tests.client import Answer, ApiClient, bearer
from tests.conftest import Account
from tests.images import encoded

PICTURE = encoded(width=64, height=48, quality=60)
VALUE = "32"


@dataclass(frozen=True)
class Way:
    """``boundary`` as it stands in the Content-Type. In ``body`` «file» and «text» are the
    endpoint's fields."""

    body: str
    boundary: str = "edge"
    name: str = "photo.jpg"
    encoding: str = "utf-8"
    type: str = "multipart/form-data; boundary={}"


def lines(*parts: str) -> str:
    return "\r\n".join(parts)


def simple(disposition: str, *headers: str, boundary: str = "edge") -> str:
    """A text field, then a file with these headers."""
    return lines(
        f"--{boundary}", 'Content-Disposition: form-data; name="«text»"', "", VALUE,
        f"--{boundary}",
        f"Content-Disposition: {disposition}", *headers, "", "«picture»", f"--{boundary}--", "",
    )  # fmt: skip


FILE = 'form-data; name="«file»"; filename="photo.jpg"'
JPEG = "Content-Type: image/jpeg"
OCTETS = "Content-Type: application/octet-stream"
UNICODE = "ä \N{CAMERA} €.jpg"
WAYS = {
    "curl": Way(simple(FILE, JPEG, boundary="-" * 24 + "a5863cb01e4e22b1"),
    "-" * 24 + "a5863cb01e4e22b1"),
    "curl, a name with quotes, which it and browsers write so": Way(
        simple('form-data; name="«file»"; filename="a %22q%22.jpg"', JPEG), name='a "q".jpg'
    ),
    "curl before 7.81, the same": Way(
        simple('form-data; name="«file»"; filename="a \\"q\\".jpg"', JPEG), name='a "q".jpg'
    ),
    "requests: a part without a type": Way(simple(FILE)),
    "requests, an old urllib3": Way(
        simple("form-data; name=\"«file»\"; "
               "filename*=utf-8''%C3%A4%20%F0%9F%93%B7%20%E2%82%AC.jpg"), name=UNICODE
    ),
    "Chrome": Way(
        simple(FILE, JPEG, boundary="----WebKitFormBoundary7MA4YWxkTrZu0gW"),
        "----WebKitFormBoundary7MA4YWxkTrZu0gW"
    ),
    "Firefox, UTF-8 as it is": Way(simple(f'form-data; name="«file»"; filename="{UNICODE}"', JPEG),
    name=UNICODE),
    "a page in Latin-1": Way(
        simple('form-data; name="«file»"; filename="Hôtel Zürich.jpg"', JPEG),
        name="Hôtel Zürich.jpg",
        encoding="latin-1",
    ),
    "a page in windows-1252": Way(
        simple('form-data; name="«file»"; filename="l’été.jpg"', JPEG), name="l’été.jpg",
        encoding="cp1252"
    ),
    "Internet Explorer: the whole path": Way(
        simple('form-data; name="«file»"; filename="C:\\path\\new\\x.jpg"',
        "Content-Type: image/pjpeg"), name="x.jpg"
    ),
    "the same, escaped": Way(
        simple('form-data; name="«file»"; filename="C:\\\\path\\\\x.jpg"', JPEG), name="x.jpg"
    ),
    "a share of Windows": Way(
        simple('form-data; name="«file»"; filename="\\\\server\\photos\\x.jpg"', JPEG), name="x.jpg"
    ),
    "Postman": Way(simple('form-data; name="«file»"; filename="/C:/Users/me/x.jpg"', JPEG),
    name="x.jpg"),
    "fetch, a Blob": Way(simple('form-data; name="«file»"; filename="blob"', OCTETS), name="blob"),
    "form-data of npm, a Buffer": Way(simple('form-data; name="«file»"', OCTETS), name="unnamed"),
    "an image's type, and no name": Way(simple('form-data; name="«file»"', JPEG), name="unnamed"),
    "an empty name, with bytes": Way(simple('form-data; name="«file»"; filename=""', JPEG),
    name="unnamed"),
    "axios with the old image/jpg": Way(simple(FILE, "Content-Type: image/jpg")),
    "Guzzle: the length of each part": Way(simple(FILE, f"Content-Length: {len(PICTURE)}", JPEG)),
    "OkHttp": Way(
        lines(
            "--b1d8c7a0-3f6e", 'Content-Disposition: form-data; name="«text»"',
            "Content-Transfer-Encoding: binary",
            "Content-Type: text/plain; charset=UTF-8", f"Content-Length: {len(VALUE)}", "", VALUE,
            "--b1d8c7a0-3f6e",
            f"Content-Disposition: {FILE}", "Content-Type: image/*",
            f"Content-Length: {len(PICTURE)}", "", "«picture»",
            "--b1d8c7a0-3f6e--", "",
        ),
        "b1d8c7a0-3f6e",
    ),
    "URLSession by hand: LF alone": Way(simple(FILE, JPEG).replace("\r\n", "\n")),
    "URLSession by hand: no last line's end": Way(simple(FILE, JPEG).removesuffix("\r\n")),
    "URLSession by hand: no spaces": Way(
        simple('form-data;name="«file»";filename="photo.jpg"', "Content-Type:image/jpeg"),
        type="multipart/form-data;boundary={}",
    ),
    "Alamofire": Way(simple(FILE, JPEG, boundary="alamofire.boundary.9fa3c"),
    "alamofire.boundary.9fa3c"),
    "PHP's CURLFile": Way(simple(FILE, OCTETS)),
    "HttpClient of .NET": Way(
        lines(
            "--5e2f", "Content-Type: text/plain; charset=utf-8",
            "Content-Disposition: form-data; name=«text»", "",
            VALUE, "--5e2f", JPEG,
            "Content-Disposition: form-data; name=«file»; filename=photo.jpg; "
            "filename*=utf-8''photo.jpg", "",
            "«picture»", "--5e2f--", "",
        ),
        '"5e2f"',
    ),
    "HttpClient of .NET, another alphabet": Way(
        simple("form-data; name=«file»; filename=\"=?utf-8?B?w6Q=?=\"; filename*=utf-8''%C3%A4.jpg",
        JPEG),
        name="ä.jpg",
    ),
    "Spring, another alphabet": Way(
        simple('form-data; name="«file»"; filename="=?UTF-8?Q?H=C3=B4tel_Z=C3=BCrich.jpg?="', JPEG),
        name="Hôtel Zürich.jpg",
    ),
    "what looks like that, and is not": Way(
        simple('form-data; name="«file»"; filename="=?what?B?x?=.jpg"', JPEG),
        name="=?what?B?x?=.jpg"
    ),
    "filename* before filename": Way(
        simple("form-data; name=\"«file»\"; filename*=UTF-8'de'%C3%A4.jpg; filename=\"a.jpg\"",
        JPEG), name="ä.jpg"
    ),
    "filename* in Latin-1": Way(
        simple("form-data; name=\"«file»\"; filename*=iso-8859-1''%E4.jpg", JPEG), name="ä.jpg"
    ),
    "filename* in quotes": Way(
        simple("form-data; name=\"«file»\"; filename*=\"utf-8''%C3%A4.jpg\"", JPEG), name="ä.jpg"
    ),
    "HttpURLConnection, from an example": Way(simple(FILE, boundary="*****"), "*****"),
    "Java Mail": Way(simple(FILE, JPEG, boundary="----=_Part_1_20.17"), "----=_Part_1_20.17"),
    "every character that a boundary may have": Way(
        simple(FILE, boundary="a'()+_,-./:=?b"), "a'()+_,-./:=?b",
        type="Multipart/Form-Data; charset=x; Boundary={}"
    ),
    "a boundary with a space, in quotes": Way(simple(FILE, boundary="a b"), '"a b"'),
    "multipart-post of Ruby": Way(
        simple(FILE, f"Content-Length: {len(PICTURE)}", JPEG, "Content-Transfer-Encoding: binary")
    ),
    "aiohttp: the type first": Way(
        lines(
            "--edge", "Content-Type: text/plain; charset=utf-8",
            'Content-Disposition: form-data; name="«text»"', "",
            VALUE, "--edge", JPEG, f"Content-Disposition: {FILE}", "", "«picture»", "--edge--", "",
        )
    ),
    "Dart: headers in lower case": Way(
        simple(FILE, JPEG).replace("Content-Disposition",
        "content-disposition").replace("Content-Type", "content-type")
    ),
    "Unity: a type and its charset in quotes": Way(
        lines(
            "--edge", 'Content-Type: text/plain; charset="utf-8"',
            'Content-disposition: form-data; name="«text»"', "",
            VALUE, "--edge", JPEG, f"Content-disposition: {FILE}", "", "«picture»", "--edge--", "",
        ),
        '"edge"',
    ),
    "a name without quotes, with a space": Way(
        simple("form-data; name=«file»; filename=my photo.jpg", JPEG), name="my photo.jpg"
    ),
    "a name with semicolon and equals sign": Way(
        simple('form-data; filename="a;b=c.jpg"; name="«file»"', JPEG), name="a;b=c.jpg"
    ),
    "a name with a bare quote": Way(simple('form-data; name="«file»"; filename="a"b.jpg"', JPEG),
    name='a"b.jpg'),
    "percents that are no escapes": Way(
        simple('form-data; name="«file»"; filename="100%25 %C3%A4.jpg"', JPEG),
        name="100%25 %C3%A4.jpg"
    ),
    "a header over two lines": Way(simple('form-data; name="«file»";\r\n filename="photo.jpg"',
    JPEG)),
    "preamble and epilogue": Way("This is a form.\r\n" + simple(FILE,
    JPEG) + "\r\nThat was it.\r\n"),
    "an empty line before the first boundary": Way("\r\n" + simple(FILE, JPEG)),
    "spaces after the boundaries": Way(simple(FILE, JPEG).replace("--edge\r\n", "--edge  \r\n")),
}  # fmt: skip


@dataclass(frozen=True)
class Endpoint:
    """Where a form goes, and what its file and its text field are called."""

    path: str
    file: str
    text: str
    status: int

    def send(self, client: ApiClient, account: Account, way: Way, **options: Any) -> Answer:
        body = (
            way.body.replace("«file»", self.file).replace("«text»", self.text).encode(way.encoding)
        )
        picture = "«picture»".encode(way.encoding, "ignore")
        return client.post(
            self.path,
            headers={**bearer(account.key), **options},
            data=body.replace(picture, PICTURE),
            content_type=way.type.format(way.boundary),
        )

    def arrived(self, client: ApiClient, account: Account, answer: Answer) -> tuple[str, str]:
        """The name of the file, and the text, as they show in what was made."""
        if self.path == "/compress/batch":
            result = answer.json["results"][0]
            return result["originalName"], str(result["width"])
        asset = client.get(f"/api/v1/assets/{answer.json['id']}", headers=bearer(account.key)).json
        return asset["originalName"], asset["name"]


ENDPOINTS = [
    Endpoint("/compress/batch", "files[]", "maxWidth", 200),
    Endpoint("/v1/images/upload", "image", "name", 201),
]
on_every_endpoint = pytest.mark.parametrize(
    "endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path
)


def test_every_endpoint_that_takes_a_form_is_here(app: OpenAPI) -> None:
    taking = {
        path
        for path, item in app.api_doc["paths"].items()
        for operation in item.values()
        if "multipart/form-data" in operation.get("requestBody", {}).get("content", {})
    }
    assert taking == {endpoint.path for endpoint in ENDPOINTS}


@on_every_endpoint
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_forms_as_clients_write_them(
    client: ApiClient, acme: Account, endpoint: Endpoint, way: Way
) -> None:
    answer = endpoint.send(client, acme, way)
    assert answer.status_code == endpoint.status, answer.text
    assert endpoint.arrived(client, acme, answer) == (way.name, VALUE)
    assert "warnings" not in answer.json


def form(*parts: tuple[str, str, str]) -> Way:
    """Parts as (disposition after the name, further header, content), under the name that stands
    first."""
    written = [
        lines(
            "--edge",
            f"Content-Disposition: form-data; name={name}",
            *([header] if header else []),
            "",
            content,
            "",
        )
        for name, header, content in parts
    ]
    return Way("".join(written) + "--edge--\r\n")


TEXT = ('"«text»"', "", VALUE)
CHOSEN = ('"«file»"; filename="photo.jpg"', JPEG, "«picture»")
NOBODY_CHOSE = ('"«file»"; filename=""', OCTETS, "")


@on_every_endpoint
@pytest.mark.parametrize("field", ["{}", "{}[]", "{}[0]", "{}[12]"])
def test_a_field_of_files_may_be_numbered(
    client: ApiClient, acme: Account, endpoint: Endpoint, field: str
) -> None:
    name = field.format(endpoint.file.removesuffix("[]"))
    answer = endpoint.send(
        client, acme, form(TEXT, (f'"{name}"; filename="photo.jpg"', JPEG, "«picture»"))
    )
    assert endpoint.arrived(client, acme, answer) == ("photo.jpg", VALUE)


def test_numbered_files_come_back_in_the_order_sent(client: ApiClient, acme: Account) -> None:
    fields = ["files[1]", "files[0]", "files", "files[]", "files[2]"]
    sent = [
        (f'"{field}"; filename="{number}.jpg"', JPEG, "«picture»")
        for number, field in enumerate(fields)
    ]
    answer = ENDPOINTS[0].send(client, acme, form(*sent, TEXT))
    assert [result["originalName"] for result in answer.json["results"]] == [
        f"{number}.jpg" for number in range(5)
    ]


@on_every_endpoint
def test_a_field_in_which_nobody_chose_a_file_counts_as_absent(
    client: ApiClient, acme: Account, endpoint: Endpoint
) -> None:
    answer = endpoint.send(
        client, acme, form(NOBODY_CHOSE, TEXT, CHOSEN, ('"other"; filename=""', OCTETS, ""))
    )
    assert answer.status_code == endpoint.status, answer.text
    assert endpoint.arrived(client, acme, answer) == ("photo.jpg", VALUE)


@on_every_endpoint
@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ([NOBODY_CHOSE], "{}: no file was chosen"),
        ([], "{}: is required"),
        ([('"«file»"', "", "undefined")], "{}: is required"),
        ([('"«file»"', "", "photo.jpg")], "{}: must be a file"),
        ([CHOSEN, ('"avatar"; filename="a.jpg"', JPEG, "«picture»")], "avatar: unknown field"),
        ([CHOSEN, ('"«text»"; filename="a.txt"', "", VALUE)], "{text}: must be text"),
    ],
)
def test_what_is_wrong_with_the_files_is_said(
    client: ApiClient,
    app: Flask,
    acme: Account,
    endpoint: Endpoint,
    parts: list[tuple[str, str, str]],
    problem: str,
) -> None:
    answer = endpoint.send(client, acme, form(TEXT, *parts))
    assert answer.status_code == 400
    assert answer.json["errors"] == [problem.format(endpoint.file, text=endpoint.text)]
    assert client.get("/usage", headers=bearer(acme.key)).json["used"] == 0


@on_every_endpoint
def test_an_empty_file_with_a_name_is_empty_not_damaged(
    client: ApiClient, acme: Account, endpoint: Endpoint
) -> None:
    answer = endpoint.send(client, acme, form(TEXT, ('"«file»"; filename="photo.jpg"', JPEG, "")))
    assert (answer.status_code, answer.json["code"]) == (422, "unreadable_image")
    assert "The file is empty" in answer.json["error"]


@on_every_endpoint
def test_unknown_text_is_ignored_with_a_warning(
    client: ApiClient, acme: Account, endpoint: Endpoint
) -> None:
    ignored = [('"submit"', "", "Send"), ('"_token"', "", "x" * 40), (f'"{"y" * 99}"', "", "")]
    answer = endpoint.send(client, acme, form(TEXT, CHOSEN, *ignored))
    assert answer.status_code == endpoint.status, answer.text
    assert answer.json["warnings"] == [
        f"{name}: unknown field, ignored" for name in ("submit", "_token", "y" * 64)
    ]


@pytest.mark.parametrize("nothing", ["", "null", "undefined"])
def test_a_text_field_without_a_value_counts_as_absent(
    client: ApiClient, acme: Account, nothing: str
) -> None:
    names = ("quality", "maxWidth", "maxHeight", "mimeType", "partial")
    answer = ENDPOINTS[0].send(
        client, acme, form(CHOSEN, *((f'"{name}"', "", nothing) for name in names))
    )
    assert ENDPOINTS[0].arrived(client, acme, answer) == ("photo.jpg", "64")
    assert answer.json["results"][0]["mimeType"] == "image/jpeg"


def test_jpg_is_jpeg(client: ApiClient, acme: Account) -> None:
    answer = client.compress(acme.key, encoded("PNG", width=64, height=48), mimeType="image/jpg")
    assert answer.json["results"][0]["mimeType"] == "image/jpeg"


@on_every_endpoint
def test_text_in_the_part_s_own_charset(
    client: ApiClient, acme: Account, endpoint: Endpoint
) -> None:
    """A number in ISO-8859-1 is one in UTF-8, so that only the image's name shows the
    difference."""
    way = form((TEXT[0], "Content-Type: text/plain; charset=ISO-8859-1", "32"), CHOSEN)
    assert endpoint.arrived(client, acme, endpoint.send(client, acme, way)) == ("photo.jpg", VALUE)


@pytest.mark.parametrize(
    ("encoding", "header"),
    [
        ("utf-8", ""),
        ("latin-1", ""),
        ("latin-1", "Content-Type: text/plain; charset=iso-8859-1"),
        ("cp1252", ""),
    ],
)
def test_names_in_other_alphabets(
    client: ApiClient, acme: Account, encoding: str, header: str
) -> None:
    written = form((TEXT[0], header, "Hôtel Zürich"), CHOSEN)
    way = Way(written.body, encoding=encoding)
    assert ENDPOINTS[1].send(client, acme, way).json["name"] == "Hôtel Zürich"


@on_every_endpoint
@pytest.mark.parametrize(
    ("type", "words"),
    [
        ("multipart/form-data", "names no boundary"),
        ('multipart/form-data; boundary=""', "names no boundary"),
        ("multipart/form-data; boundary=other", "another boundary"),
    ],
)
def test_a_missing_or_wrong_boundary_is_said(
    client: ApiClient, acme: Account, endpoint: Endpoint, type: str, words: str
) -> None:
    answer = endpoint.send(client, acme, Way(WAYS["curl"].body, type=type))
    assert answer.status_code == 400
    assert words in answer.json["error"]


@on_every_endpoint
def test_a_repetition_under_another_boundary_is_the_same_request(
    client: ApiClient, acme: Account, endpoint: Endpoint
) -> None:
    ways = (WAYS["URLSession by hand: LF alone"], WAYS["Chrome"])
    first, again = (endpoint.send(client, acme, way, **{"Idempotency-Key": "once"}) for way in ways)
    assert (first.status_code, first.json) == (again.status_code, again.json)
    assert again.headers["Idempotent-Replayed"] == "true"


@given(name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_every_name_survives_the_two_ways_to_escape_it(name: str) -> None:
    """As the HTML Standard writes it, and as RFC 9110 does."""
    for written in (name.replace('"', "%22"), name.replace("\\", "\\\\").replace('"', '\\"')):
        found = parameters(f'form-data; name="files[]"; filename="{written}"')
        assert found["name"] == "files[]"
        if "\\" not in name and "%22" not in name and '";' not in name.replace(" ", ""):
            assert clean_name(found["filename"]) == clean_name(name)


ARRIVING = [
    "curl",
    "URLSession by hand: LF alone",
    "spaces after the boundaries",
    "preamble and epilogue",
]


class Drip(BytesIO):
    """A body that arrives in pieces."""

    def __init__(self, body: bytes, size: int) -> None:
        super().__init__(body)
        self.size = size

    def read(self, _: int | None = -1) -> bytes:
        return super().read(self.size)


def parse(
    body: bytes, size: int = 100, boundary: str = "edge", **limits: Any
) -> tuple[Any, MultiDict[str, str], MultiDict[str, FileStorage]]:
    parser = FormParser(lambda *_: BytesIO(), **limits)
    return parser.parse(Drip(body, size), "multipart/form-data", None, {"boundary": boundary})


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 4096])
@pytest.mark.parametrize("way", [WAYS[name] for name in ARRIVING], ids=ARRIVING)
def test_it_does_not_matter_how_a_form_arrives(way: Way, size: int) -> None:
    body = way.body.encode().replace("«picture»".encode(), PICTURE)
    _, fields, files = parse(body, size, parameters(f"; boundary={way.boundary}")["boundary"])
    assert fields.to_dict() == {"«text»": VALUE}
    assert [(field, file.filename, file.read()) for field, file in files.items()] == [
        ("«file»", "photo.jpg", PICTURE)
    ]


def test_text_is_limited_in_all() -> None:
    part = b'--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 500 + b"\r\n"
    assert parse(part * 4 + b"--edge--", max_form_memory_size=2000)
    with pytest.raises(TooLarge):
        parse(part * 5 + b"--edge--", max_form_memory_size=2000)


def test_parts_and_their_headers_are_limited() -> None:
    part = b'--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    with pytest.raises(RequestEntityTooLarge):
        parse(part * 5 + b"--edge--", max_form_parts=4)
    for filler in (
        b"X: " + b"x" * 20_000,
        b'Content-Disposition: form-data; name="' + b"n" * 20_000 + b'"',
    ):
        with pytest.raises(TooLarge):
            parse(b"--edge\r\n" + filler + b"\r\n\r\n\r\n--edge--")


@pytest.mark.parametrize(
    "body",
    [b"", b"--edge\r\n", b"--edge\r\n\r\nx\r\n--edge--", b"--edge\r\nX: y\r\n\r\nx\r\n--edge--"],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(body)


HOSTILE = [
    '; a="' * 3000,
    '; a="\\";' * 2000,
    ";" + " " * 16_000,
    '; a="' + "\\" * 16_000,
    '; a="' + '" ' * 8000,
]


@pytest.mark.parametrize("header", HOSTILE, ids=range(len(HOSTILE)))
def test_the_time_to_read_a_header_does_not_explode(header: str) -> None:
    """Sixteen thousand characters would take minutes where it did."""
    assert set(parameters(header[:HEADER_BYTES])) <= {"a"}


def test_werkzeug_still_reads_headers_by_the_method_that_is_replaced() -> None:
    """Latin-1 names and the limit on headers hang on it."""
    headers = MultipartDecoder(b"edge")._parse_headers(b"Content-Type: image/jpeg\r\nX: y")
    assert headers["content-type"] == "image/jpeg"
