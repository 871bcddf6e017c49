"""The page of an asset."""

import re
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select

from app.extensions import transaction
from app.imaging import Format, Transform
from app.models import Asset, AssetTag, Mode, Role, TrashedAsset, UsageCounter, new_id
from app.services.exports import presets
from tests.client import Answer, ApiClient
from tests.clock import NOON
from tests.conftest import Account, AccountMaker
from tests.conftest import SignIn as SignInMaker
from tests.databases import on_both_databases
from tests.forms import SAME_SITE, post, text_of
from tests.images import encoded
from tests.library import make_collection
from tests.pictures import add_picture

PART = {**SAME_SITE, "HX-Request": "true"}


@pytest.fixture
def member(acme: Account, sign_in: SignInMaker) -> ApiClient:
    return sign_in(acme, Role.MEMBER)


def path(account: Account, asset_id: str, rest: str = "") -> str:
    return f"{account.home}/assets/{asset_id}{rest}"


def send(client: ApiClient, where: str, **fields: object) -> Answer:
    """Send a form as htmx does."""
    return client.post(where, data=fields, headers=PART)


def row(app: Flask, account: Account, asset_id: str, mode: Mode = Mode.LIVE) -> Asset:
    with app.app_context(), transaction(account.org_id, mode) as session:
        return session.scalars(select(Asset).where(Asset.id == asset_id)).one()


def with_gps() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Nikon", "NIKON D90"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    return encoded("JPEG", 64, 48, exif=exif.tobytes())


def test_the_page_tells_what_is_known(app: Flask, acme: Account, member: ApiClient) -> None:
    asset_id = add_picture(
        app, acme, tags=["sea"], added_by_kind="user", added_by_id=member.user_id
    )
    page = member.get(path(acme, asset_id))
    text = text_of(page)
    assert page.status_code == 200
    for known in (
        "photo.jpg",
        "JPEG",
        "64 × 48 px",
        asset_id,
        "sea",
        "Private",
        "Counts as 1 image",
    ):
        assert known in text
    assert "somebody unknown" not in text
    assert f'hx-get="{path(acme, asset_id, "/details")}"' in page.text
    assert "How it was made" not in text


def test_details_are_looked_at_once_and_kept(app: Flask, acme: Account, member: ApiClient) -> None:
    asset_id = add_picture(app, acme, with_gps())
    part = member.get(path(acme, asset_id, "/details"), headers=PART)
    for told in ("NIKON D90", "The file tells where it was taken.", "hold none of this", "#"):
        assert told in text_of(part)
    assert "<html" not in part.text
    details = row(app, acme, asset_id).details
    assert details is not None
    assert details["metadata"]["has_place"]
    assert 1 <= len(details["colours"]) <= 6
    app.extensions["lightwell"].storage.delete([f"assets/{asset_id}"])
    assert "NIKON D90" in member.get(path(acme, asset_id)).text  # from the row, at once
    whole = member.get(path(acme, asset_id, "/details"))
    assert "<html" in whole.text


@pytest.mark.parametrize("content", [b"no image at all", encoded("PNG", 64, 48)[:200]])
def test_details_of_a_file_that_is_broken_or_gone(
    app: Flask, acme: Account, member: ApiClient, content: bytes
) -> None:
    asset_id = add_picture(app, acme, content)
    part = member.get(path(acme, asset_id, "/details"), headers=PART)
    assert part.status_code == 200
    assert re.search("can't be read|No metadata", text_of(part))
    gone = add_picture(app, acme)
    app.extensions["lightwell"].storage.delete([f"assets/{gone}"])
    part = member.get(path(acme, gone, "/details"), headers=PART)
    assert "can't be read" in text_of(part)
    assert row(app, acme, gone).details is None


def test_the_view_is_small_and_videos_have_none(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    asset_id = add_picture(app, acme)
    view = member.get(path(acme, asset_id, "/view"))
    assert view.mimetype == "image/jpeg"
    assert Image.open(BytesIO(view.data)).size == (64, 48)
    video = add_picture(
        app, acme, media_type="VIDEO", kind="mp4", mime_type="video/mp4", duration_ms=61_000
    )
    assert member.get(path(acme, video, "/view")).status_code == 404
    page = member.get(path(acme, video))
    assert "media-src 'self'" in page.headers["Content-Security-Policy"]
    assert "<video controls" in page.text
    assert "1:01" in page.text
    assert 'action="' + path(acme, video, "/publish") not in page.text
    refused = post(member, path(acme, video, "/publish"))
    assert refused.status_code == 400


def test_the_original_comes_under_its_name(app: Flask, acme: Account, member: ApiClient) -> None:
    content = encoded("JPEG", 64, 48)
    asset_id = add_picture(app, acme, content, name="my photo.jpg")
    answer = member.get(path(acme, asset_id, "/download"))
    assert answer.status_code == 303
    file = member.get(urlsplit(answer.headers["Location"]).path)
    assert file.data == content
    assert "my photo.jpg" in file.headers["Content-Disposition"]
    assert file.headers["Content-Disposition"].startswith("attachment")


@on_both_databases
def test_the_label_is_edited_in_place_and_taken_back(
    app: Flask, acme: Account, sign_in: SignInMaker
) -> None:
    member = sign_in(acme, Role.MEMBER)
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        session.add(make_collection("col_autumn"))
    asset_id = add_picture(app, acme, tags=["a", "b"])
    label = path(acme, asset_id, "/label")

    part = send(member, label, name="  New name  ")
    assert "Renamed to “New name”." in text_of(part)
    assert '<input type="hidden" name="name" value="photo.jpg">' in part.text
    assert row(app, acme, asset_id).name == "New name"
    back = send(member, label, name="photo.jpg", undoing="1")
    assert "Taken back." in back.text
    assert "Undo" not in back.text
    assert row(app, acme, asset_id).name == "photo.jpg"

    assert "“c” added" in text_of(send(member, label, add="c"))
    assert "“a” removed" in text_of(send(member, label, remove="a"))
    send(member, label, add="c")
    assert row(app, acme, asset_id).tags == ["b", "c"]
    send(member, label, tags=["a", "b"], undoing="1")
    assert row(app, acme, asset_id).tags == ["a", "b"]
    send(member, label, tags=[""], undoing="1")
    found = row(app, acme, asset_id)
    assert found.tags == []
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        assert not session.scalars(select(AssetTag).where(AssetTag.asset_id == asset_id)).all()

    moved = send(member, label, collectionId="col_autumn")
    assert '<input type="hidden" name="collectionId" value="">' in moved.text
    assert row(app, acme, asset_id).collection_id == "col_autumn"
    assert "Taken out" in send(member, label, collectionId="").text
    assert "Nothing changed." in send(member, label).text


def test_forms_work_without_a_script(app: Flask, acme: Account, member: ApiClient) -> None:
    asset_id = add_picture(app, acme)
    answer = post(member, path(acme, asset_id, "/label"), name="Plain")
    assert answer.status_code == 303
    assert "Renamed to “Plain”." in text_of(member.get(answer.headers["Location"]))
    refused = post(member, path(acme, asset_id, "/label"), name=" ")
    assert refused.status_code == 400
    assert "<html" in refused.text


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": ""}, "at least 1 character"),
        ({"name": "x" * 256}, "at most 255 characters"),
        ({"name": "a\x07b"}, "control characters"),
        ({"add": "x" * 65}, "at most 64 characters"),
        ({"tags": [str(number) for number in range(51)]}, "at most 50"),
        ({"collectionId": "col_of_nobody"}, "Does not exist|does not exist"),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    app: Flask, acme: Account, member: ApiClient, fields: dict[str, object], problem: str
) -> None:
    asset_id = add_picture(app, acme)
    part = send(member, path(acme, asset_id, "/label"), **fields)
    assert part.status_code == 400
    assert re.search(problem, text_of(part))
    assert 'role="alert"' in part.text
    assert row(app, acme, asset_id).name == "photo.jpg"


def test_an_image_has_at_most_fifty_tags(app: Flask, acme: Account, member: ApiClient) -> None:
    asset_id = add_picture(app, acme, tags=[f"tag {number}" for number in range(50)])
    part = send(member, path(acme, asset_id, "/label"), add="one more")
    assert part.status_code == 400
    assert "at most 50 tags" in text_of(part)
    assert send(member, path(acme, asset_id, "/label"), add="tag 7").status_code == 200


def test_publishing_gives_a_link_that_can_be_taken_back(
    app: Flask, acme: Account, member: ApiClient, client: ApiClient
) -> None:
    asset_id = add_picture(app, acme)
    post(member, path(acme, asset_id, "/publish"))
    post(member, path(acme, asset_id, "/publish"))
    page = member.get(path(acme, asset_id))
    found = re.search(r'value="http://[^/]+(/published/[^"]+)"', page.text)
    assert found
    assert client.get(found[1]).status_code == 200
    asked = member.get(path(acme, asset_id, "?confirm=unpublish"))
    assert re.search(r'<dialog id="unpublish"[^>]* open', asked.text)
    post(member, path(acme, asset_id, "/unpublish"))
    assert client.get(found[1]).status_code == 404
    assert "Private" in member.get(path(acme, asset_id)).text


def test_deleting_leads_to_the_library_and_can_be_undone(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    asset_id = add_picture(app, acme, name="<b>bye</b>")
    answer = post(member, path(acme, asset_id, "/delete"))
    assert answer.headers["Location"] == f"{acme.home}/library"
    page = member.get(f"{acme.home}/library").text
    assert "&lt;b&gt;bye&lt;/b&gt;” is in the trash" in page
    assert f'action="{path(acme, asset_id, "/restore")}"' in page
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        trashed = session.scalars(select(TrashedAsset)).one()
    assert trashed.deleted_by_id == member.user_id
    assert member.get(path(acme, asset_id)).status_code == 404
    assert post(member, path(acme, asset_id, "/delete")).status_code == 404
    for _ in range(2):
        back = post(member, path(acme, asset_id, "/restore"))
        assert "is back in the library" in text_of(member.get(back.headers["Location"]))
    assert row(app, acme, asset_id).name == "<b>bye</b>"


def counted(app: Flask, account: Account) -> int:
    with app.app_context(), transaction(account.org_id) as session:
        return sum(one.used for one in session.scalars(select(UsageCounter)))


def test_an_export_url_counts_once_and_leads_to_the_copy(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    asset_id, export = add_picture(app, acme), "/export"
    form = {"format": "PNG", "maxWidth": "32", "quality": "", "ttl": "600"}
    asked = member.get(path(acme, asset_id, export), query_string=form, headers=PART)
    assert "Counts as 1 image, once." in asked.text
    assert "export-url?format=PNG&maxWidth=32&ttl=600" in text_of(asked)
    before = counted(app, acme)
    made = send(member, path(acme, asset_id, export), **form)
    assert "Made now; counted as 1 image." in made.text
    assert "PNG, 32 × 24" in text_of(made)
    assert counted(app, acme) == before + 1
    again = send(member, path(acme, asset_id, export), **form)
    assert "Made already" in again.text
    assert counted(app, acme) == before + 1
    asked = member.get(path(acme, asset_id, export), query_string=form, headers=PART)
    assert "Made already" in asked.text
    url = re.search(r'<input class="input" readonly value="http://[^/]+([^"]+)"', made.text)
    assert url
    assert Image.open(BytesIO(member.get(url[1]).data)).size == (32, 24)
    whole = post(member, path(acme, asset_id, export), **form)
    assert "<html" in whole.text
    assert 'id="export-result"' in whole.text


def test_a_preset_makes_the_copy_and_wrong_fields_say_so(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        presets.save(session, 'shop "1"', Transform(Format.WEBP, max_width=16), NOON)
    asset_id = add_picture(app, acme)
    assert "shop &#34;1&#34;" in member.get(path(acme, asset_id)).text
    made = send(member, path(acme, asset_id, "/export"), preset='shop "1"', maxHeight="6")
    assert "WEBP, 8 × 6" in text_of(made)
    assert "preset=shop+%221%22" in text_of(made)
    for fields, problem in (
        ({"quality": "300"}, "Quality: "),
        ({"preset": "no such"}, "Export preset 'no such' does not exist"),
        ({"ttl": "1"}, "Valid for: "),
        ({"format": "tiff"}, "Format: "),
    ):
        refused = send(member, path(acme, asset_id, "/export"), **fields)
        assert refused.status_code in (400, 404)
        assert problem in text_of(refused)
        asked = member.get(path(acme, asset_id, "/export"), query_string=fields, headers=PART)
        assert problem in text_of(asked)


def test_the_chain_and_what_was_made_of_it(app: Flask, acme: Account, member: ApiClient) -> None:
    first = add_picture(app, acme, name="first.jpg")
    second = add_picture(
        app, acme, name="second.jpg", origin="image", made_from=first,
        operations=[{"resize": {"width": 800, "height": 600}}, {"rotate": {"angle": 90}}],
    )  # fmt: skip
    third = add_picture(app, acme, name="third.jpg", origin="image", made_from=second,
                        operations=[{"mirror": {"mode": "horizontal"}}])  # fmt: skip
    page = text_of(member.get(path(acme, third)))
    places = [page.index(f'">{name}') for name in ("first.jpg", "second.jpg")]
    assert places == sorted(places)
    assert "Resized to 800 × 600, Rotated by 90°" in page
    assert "Mirrored left to right" in page
    of_first = text_of(member.get(path(acme, first)))
    assert path(acme, second) in of_first
    assert path(acme, third) not in of_first
    post(member, path(acme, first, "/delete"))
    assert "In the trash" in text_of(member.get(path(acme, second)))


def test_the_mode_is_kept(app: Flask, acme: Account, member: ApiClient) -> None:
    asset_id = add_picture(app, acme, mode=Mode.TEST, tags=["sea"])
    assert member.get(path(acme, asset_id)).status_code == 404
    page = member.get(path(acme, asset_id, "?mode=test")).text
    ours = re.findall(
        rf'(?:href|action|src|hx-get|hx-post)="({acme.home}/(?:assets|library)[^"]*)"', page
    )
    assert len(ours) > 10
    assert all("mode=test" in link for link in ours), ours
    assert "counts nothing, and has a watermark" in page
    assert "data-original" not in page
    answer = post(member, path(acme, asset_id, "/label?mode=test"), name="x")
    assert answer.headers["Location"].endswith("?mode=test")


def test_viewers_see_no_controls(app: Flask, acme: Account, sign_in: SignInMaker) -> None:
    viewer, asset_id = sign_in(acme, Role.VIEWER), add_picture(app, acme, tags=["sea"])
    page = viewer.get(path(acme, asset_id))
    main = page.text.partition("<main")[2]
    assert "sea" in main
    assert "<form" not in main.partition("</main>")[0]
    for edits in ("/edit", "URL of a copy", "Rename", 'id="delete"'):
        assert edits not in main
    for rest in ("label", "publish", "unpublish", "delete", "restore", "export"):
        assert post(viewer, path(acme, asset_id, f"/{rest}")).status_code == 403


def test_plans_without_the_workspace_look_publish_and_delete(
    app: Flask, make_account: AccountMaker, sign_in: SignInMaker
) -> None:
    account = make_account("free", plan="FREE")
    owner, asset_id = sign_in(account, Role.OWNER), add_picture(app, account, tags=["sea"])
    page = owner.get(path(account, asset_id)).text
    assert "See plans" in page
    for missing in ("Rename", "URL of a copy", 'id="asset-tag"', 'id="asset-collection"'):
        assert missing not in page
    for rest in ("label", "export"):
        assert post(owner, path(account, asset_id, f"/{rest}")).status_code == 402
    assert post(owner, path(account, asset_id, "/publish")).status_code == 303
    assert post(owner, path(account, asset_id, "/delete")).status_code == 303


@pytest.mark.parametrize(
    "name", ['"><img src=x onerror=1>', "\u202egpj.exe", "📷" * 127, "a" * 255, "x</title><script>"]
)
def test_hostile_names_stay_text(app: Flask, acme: Account, member: ApiClient, name: str) -> None:
    asset_id = add_picture(app, acme, name=name, original_name=name, tags=[name[:64]])
    page = member.get(path(acme, asset_id))
    assert page.status_code == 200
    assert "<img src=x" not in page.text
    assert "<script>" not in page.text
    assert name in text_of(page)
    part = send(member, path(acme, asset_id, "/label"), add="more")
    assert name in text_of(part)
    assert "<img src=x" not in part.text


def test_collections_deep_in_each_other_are_listed_in_little(
    app: Flask, acme: Account, member: ApiClient
) -> None:
    """Indented as deep as they lie, ten thousand would be a page of 150 MB."""
    ids = [new_id("col", NOON) for _ in range(600)]
    with app.app_context(), transaction(acme.org_id, Mode.LIVE) as session:
        for above, collection_id in zip([None, *ids], ids, strict=False):
            collection = make_collection(collection_id)
            collection.parent_id = above
            session.add(collection)
            session.flush()
    asset_id = add_picture(app, acme)
    page = member.get(path(acme, asset_id))
    assert ids[-1] in page.text
    assert len(page.data) < 200_000
