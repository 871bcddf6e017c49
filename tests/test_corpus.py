"""Every file of the corpus over HTTP: real cameras, odd encoders, hostile makers.

No time is measured here: the pool's processor deadline is what bounds it, and a file that passed it would be a 422.
"""

import csv

import pytest
import requests

from tests.conftest import CORPUS
from tests.test_serve import register, used, web_process

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
def test_every_file_is_answered_as_the_manifest_says(service, fields) -> None:
    key = register(service, f"corpus{len(fields)}", "ENTERPRISE")
    web, processed, surprises = web_process(service).pid, 0, []
    for row in rows():
        with (CORPUS / row["path"]).open("rb") as file:
            answer = requests.post(
                f"{service.url}/compress/batch", headers=key, files={"files[]": file}, data=fields, timeout=60
            )
        processed += answer.status_code == 200
        if answer.status_code not in expected(row):
            surprises.append((row["path"], answer.status_code, row["expect"], answer.text[:200]))
    assert not surprises
    assert used(service, key) == processed > 80
    assert web_process(service).pid == web
