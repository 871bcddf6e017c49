"""Every file of the corpus over HTTP: real cameras, odd encoders, hostile makers.

No time is measured here: the pool's processor deadline is what bounds it, and a file that passed it
would be a 422.
"""

import csv
from typing import Any

import pytest
import requests

from tests.conftest import CORPUS, Service
from tests.dev.test_serve import register, used, web_process

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.xdist_group("service"),
    pytest.mark.skipif(not CORPUS.exists(), reason="the corpus does not lie beside the project"),
]


def rows() -> list[dict[str, str]]:
    with (CORPUS / "MANIFEST.tsv").open(newline="") as manifest:
        return list(csv.DictReader(manifest, delimiter="\t"))


def expected(row: dict[str, str]) -> set[int]:
    """The statuses that the manifest allows; videos name those of each endpoint."""
    mine = row["expect"].partition(";")[0].removeprefix("compress:")
    return {int(status) for status in mine.split("|")}


@pytest.mark.parametrize("fields", [{}, {"maxWidth": "800"}], ids=["whole", "small"])
def test_every_file_is_answered_as_the_manifest_says(
    service: Service, fields: dict[str, str]
) -> None:
    key = register(service, f"corpus{len(fields)}", "ENTERPRISE")
    web, processed, surprises = web_process(service).pid, 0, []
    for row in rows():
        with (CORPUS / row["path"]).open("rb") as file:
            answer = requests.post(
                f"{service.url}/compress/batch",
                headers=key,
                files={"files[]": file},
                data=fields,
                timeout=60,
            )
        processed += answer.status_code == 200
        if answer.status_code not in expected(row):
            surprises.append((row["path"], answer.status_code, row["expect"], answer.text[:200]))
    assert not surprises
    assert used(service, key) == processed > 80
    assert web_process(service).pid == web


def test_every_image_that_is_taken_can_be_worked_on(service: Service) -> None:
    """Through the images dialect: taken in, then several operations, with a watermark, in one
    go."""
    key = register(service, "corpus-images", "ENTERPRISE")
    web, images = web_process(service).pid, f"{service.url}/v1/images"
    surprises: list[tuple[object, ...]] = []
    for row in rows():
        with (CORPUS / row["path"]).open("rb") as file:
            taken = requests.post(
                f"{images}/upload",
                headers=key,
                files={"image": file},
                data={"name": "x"},
                timeout=60,
            )
        allowed = {201 if status == 200 else status for status in expected(row)}
        if taken.status_code not in allowed:
            surprises.append(
                (row["path"], "upload", taken.status_code, row["expect"], taken.text[:200])
            )
        if taken.status_code == 201:
            url = f"{images}/{taken.json()['id']}/transform"
            answers = [requests.post(url, headers=key, json={"operations": OPERATIONS}, timeout=60)]
            if answers[0].status_code == 201:
                marks = {
                    "watermarks": [
                        {"id": taken.json()["id"], "width": 90, "repetition_mode": "repeat"}
                    ]
                }
                answers.append(
                    requests.post(
                        f"{images}/{answers[0].json()['id']}/watermark", headers=key, json=marks
                    )
                )
            surprises += [
                (row["path"], one.status_code, one.text[:200])
                for one in answers
                if one.status_code != 201
            ]
    assert not surprises
    assert web_process(service).pid == web


OPERATIONS: list[dict[str, Any]] = [
    {"resize": {"width": 240, "height": 160, "fit": "contain", "letterbox_color": "#ff880080"}},
    {"rotate": {"angle": 7, "background_color": "transparent"}},
    {"modulate": {"saturation": 1.5, "hue": 40}},
    {"blur": {"sigma": 12}},
]
