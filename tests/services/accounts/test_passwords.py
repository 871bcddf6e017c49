"""How passwords are stored."""

from app.services.accounts import passwords


def test_the_hash_is_argon2id_as_owasp_recommends_it() -> None:
    stored = passwords.hashed("a lamp in the attic", "ada@example.com")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_password_is_the_same_on_every_keyboard() -> None:
    """NFKC: composed or not, full width or not."""
    stored = passwords.hashed("Caf\u00e9 \uff21\uff22\uff23 12", "ada@example.com")
    assert passwords.is_right("Cafe\u0301 ABC 12", stored)
    assert not passwords.is_right("Cafe ABC 12", stored)


def test_without_a_hash_no_password_is_right() -> None:
    assert not passwords.is_right("", None)
    assert not passwords.is_right("a lamp in the attic", "no hash at all")
