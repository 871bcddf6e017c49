"""The shape of keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Unauthenticated
from app.services.accounts import keys

alphabet = st.sampled_from(keys.BASE62)


@given(st.text(alphabet, min_size=32, max_size=32))
def test_a_secret_is_recognised_under_every_prefix(random_part: str) -> None:
    secret = random_part + keys.checksum(random_part)
    for prefix, mode in keys.PREFIX_MODES.items():
        assert keys.parse(prefix + secret) == (mode, secret)


@given(st.text(alphabet, min_size=32, max_size=32), st.integers(0, 37), alphabet)
def test_every_single_typo_is_noticed(random_part: str, position: int, other: str) -> None:
    secret = random_part + keys.checksum(random_part)
    if secret[position] == other:
        return
    with pytest.raises(Unauthenticated):
        keys.parse("psx_" + secret[:position] + other + secret[position + 1 :])


@given(st.text(max_size=60))
def test_anything_else_is_refused_and_nothing_breaks(text: str) -> None:
    with pytest.raises(Unauthenticated):
        keys.parse(text)


def test_secrets_differ_and_only_their_digest_is_kept() -> None:
    secrets = {keys.new_secret() for _ in range(200)}
    assert len(secrets) == 200
    assert len({keys.digest(secret) for secret in secrets}) == 200
    assert all(len(secret) == 38 for secret in secrets)
