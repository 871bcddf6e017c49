"""What people change about themselves: name, e-mail address, password."""

from datetime import datetime

from sqlalchemy import or_, select

from app.errors import BadRequest, Conflict, NotFound
from app.models import LinkPurpose, MailedLink, User
from app.services import blocks, mail
from app.services.accounts import identity, mailed_links, passwords, recovery, sign_ins
from app.services.accounts.sign_ins import Person
from app.services.filenames import has_controls
from app.tenancy import TenantSession

LONGEST_NAME = 120


def rename(session: TenantSession, user_id: str, name: str) -> None:
    """Change the name that others see; an empty one removes it. Raises BadRequest."""
    name = name.strip()
    if len(name) > LONGEST_NAME:
        problem = f"is too long: use at most {LONGEST_NAME} characters."
        raise BadRequest(f"The name {problem}", errors=[f"name: {problem}"])
    if has_controls(name):
        problem = "holds characters that can't be shown. Remove them."
        raise BadRequest(f"The name {problem}", errors=[f"name: {problem}"])
    session.get_one(User, user_id).name = name or None


def change_password(
    session: TenantSession, person: Person, password: str, site: str, now: datetime
) -> None:
    """Set a new password. The person is told by mail, and their other sessions and all mailed
    links end. Raises BadRequest."""
    user = session.get_one(User, person.user_id)
    user.password_hash = passwords.hashed(password, user.email)
    mailed_links.withdraw(session, user.id)
    sign_ins.end_all(session, user.id, but=person.sign_in_id)
    recovery.tell_password_changed(session, user.email, site, now)


def read_email(person: Person, email: str) -> str:
    """The new address that was typed, normalised. Raises BadRequest."""
    email = identity.normalise_email(email)
    if email == person.email:
        problem = "is the one that you have already."
        raise BadRequest(f"The address {problem}", errors=[f"email: {problem}"])
    return email


def ask_for_email(
    session: TenantSession, person: Person, email: str, site: str, now: datetime
) -> None:
    """Mail a link to a new address, which counts once the link was opened. If it has an account
    already, the mail says so: the person who asks must not learn that. Raises
    MailDomainBlocked."""
    blocks.check_email(session, email, now)
    user = session.get_one(User, person.user_id)
    if _is_taken(session, user, email):
        mail.queue(session, email, "address-taken", now, email=email, url=f"{site}/login")
        return
    token = mailed_links.issue(session, user, LinkPurpose.CHANGE_EMAIL, now, email=email)
    mail.queue(
        session,
        email,
        "change-email",
        now,
        email=email,
        former=user.email,
        url=f"{site}/account/email/{token}",
    )


def new_email(session: TenantSession, person: Person, token: str, now: datetime) -> str:
    """The address that a link of this person was mailed to. Raises NotFound."""
    return _link_of(session, person, token, now)[0].email


def change_email(session: TenantSession, person: Person, token: str, now: datetime) -> None:
    """Use the address that the link was mailed to. Both addresses are told, and the person's other
    sessions and links end. Raises NotFound, MailDomainBlocked, Conflict if the address was taken
    meanwhile."""
    link, user = _link_of(session, person, token, now)
    blocks.check_email(session, link.email, now)
    if _is_taken(session, user, link.email):
        raise Conflict("This address has another account by now. Choose another address.")
    mailed_links.use(session, link)
    mailed_links.withdraw(session, user.id)
    former = user.email
    user.email, user.mailbox = link.email, identity.mailbox_of(link.email)
    sign_ins.end_all(session, user.id, but=person.sign_in_id)
    for to in (former, user.email):
        mail.queue(
            session,
            to,
            "email-changed",
            now,
            former=former,
            email=user.email,
            when=now,
        )


def _link_of(
    session: TenantSession, person: Person, token: str, now: datetime
) -> tuple[MailedLink, User]:
    """The link, if it is this person's own: if an address was mistyped, its reader must not get the
    account."""
    link, user = mailed_links.find(session, token, now, LinkPurpose.CHANGE_EMAIL)
    if user.id != person.user_id:
        raise NotFound(mailed_links.USED)
    return link, user


def _is_taken(session: TenantSession, user: User, email: str) -> bool:
    taken = or_(User.email == email, User.mailbox == identity.mailbox_of(email))
    return session.scalar(select(User.id).where(taken, User.id != user.id)) is not None
