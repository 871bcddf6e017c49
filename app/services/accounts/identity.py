"""Users and their organizations."""

from dataclasses import dataclass
from datetime import datetime

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import ColumnElement, or_, select, update

from app.errors import BadRequest, Conflict, NotFound
from app.extensions import transaction
from app.models import (
    FREE,
    Actor,
    ActorKind,
    FormerSlug,
    Membership,
    Mode,
    Organization,
    Plan,
    Role,
    StaffRole,
    User,
    domain_of,
    new_id,
)
from app.services import blocks
from app.services.accounts import keys, last_seen, passwords, slugs
from app.services.accounts.confirmation import send_confirmation
from app.services.accounts.mailed_links import CONFIRM_WITHIN
from app.services.accounts.permissions import Action, may
from app.services.accounts.principal import Allowance, Principal
from app.services.accounts.sign_ins import Person
from app.tenancy import TenantSession, insert_if_absent

GMAIL_DOMAINS = ("gmail.com", "googlemail.com")
"""Two domains of one provider, which ignores dots in the local part:
support.google.com/mail/answer/7436150."""


@dataclass(frozen=True)
class NewAccount:
    """The keys and the plan of a new account. The keys are shown once."""

    api_key: str
    test_api_key: str
    plan: str
    monthly_limit: int | None


def normalise_email(email: str) -> str:
    """The normal form of an address: NFC, lower case, IDNA domain. Raises BadRequest.

    Sub-addresses (``+tag``) stay, because the user wants mail to be sent there. ``mailbox_of``
    names the mailbox.
    """
    try:
        return validate_email(
            email, check_deliverability=False, test_environment=True
        ).normalized.lower()
    except EmailNotValidError as error:
        raise BadRequest("The e-mail address is not valid.", errors=[f"email: {error}"]) from None


def mailbox_of(email: str) -> str:
    """The same text for all normalised addresses of one mailbox: without ``+tag``, and without dots
    for Gmail."""
    local, _, domain = email.rpartition("@")
    local = local[:1] + local[1:].partition("+")[0]
    if domain in GMAIL_DOMAINS:
        local, domain = local.replace(".", ""), GMAIL_DOMAINS[0]
    return f"{local}@{domain}"


def create_account(
    session: TenantSession,
    email: str,
    now: datetime,
    *,
    password: str | None = None,
    staff_role: StaffRole | None = None,
    is_confirmed: bool = False,
) -> Organization:
    """Create a user with an organization on the FREE plan. ``is_confirmed`` is whether the address
    is known to be theirs. Raises BadRequest, MailDomainBlocked, Conflict for a known mailbox."""
    email = normalise_email(email)
    user_id = create_user(
        session,
        email,
        now,
        password_hash=passwords.hashed(password, email) if password else None,
        staff_role=staff_role,
        confirmed_at=now if is_confirmed else None,
    )
    if user_id is None:
        raise Conflict(
            "An account with this e-mail already exists. Keys are shown only once; rotate via POST "
            "/auth/rotate-key."
        )
    return create_organization(session, user_id, email.partition("@")[0], now)


def create_user(session: TenantSession, email: str, now: datetime, **values: object) -> str | None:
    """Create a user with a normalised address and return their id; None if the mailbox has an
    account. Raises MailDomainBlocked."""
    blocks.check_email(session, email, now)
    user_id = new_id("user", now)
    names = {"email": email, "mailbox": mailbox_of(email), "mail_domain": domain_of(email)}
    created = insert_if_absent(session, User, id=user_id, created_at=now, **names, **values)
    return user_id if created else None


def find_user(session: TenantSession, email: str) -> User | None:
    """The user with this address, or else with its mailbox; None also for what is no address."""
    try:
        email = normalise_email(email)
    except BadRequest:
        return None
    known = select(User).where(or_(User.email == email, User.mailbox == mailbox_of(email)))
    return session.scalar(known.order_by(User.email != email).limit(1))


def create_organization(
    session: TenantSession, user_id: str, name: str, now: datetime
) -> Organization:
    """Create an organization on the FREE plan that the user owns."""
    organization = Organization(
        id=new_id("org", now),
        name=name,
        slug=slugs.unused(session, name),
        plan_code=FREE,
        created_at=now,
    )
    session.add(organization)
    session.flush()
    session.add(
        Membership(org_id=organization.id, user_id=user_id, role=Role.OWNER, created_at=now)
    )
    session.flush()
    return organization


def register(session: TenantSession, email: str, site: str, now: datetime) -> NewAccount:
    """Create an account without a password, with one live and one test key, and mail a link that
    confirms the address. Without that the live key stops after ``CONFIRM_WITHIN``. Raises
    BadRequest, MailDomainBlocked, Conflict."""
    organization = create_account(session, email, now)
    organization.confirm_by = now + CONFIRM_WITHIN
    user = session.scalars(select(User).where(User.email == normalise_email(email))).one()
    send_confirmation(session, user, site, now)
    return NewAccount(
        api_key=keys.issue(
            session, org_id=organization.id, mode=Mode.LIVE, prefix="psx_", name="Default", now=now
        ),
        test_api_key=keys.issue(
            session,
            org_id=organization.id,
            mode=Mode.TEST,
            prefix="test_",
            name="Default (test)",
            now=now,
        ),
        plan=FREE,
        monthly_limit=session.get_one(Plan, FREE).monthly_images,
    )


def organization_of(session: TenantSession, email: str) -> Organization:
    """The organization that the user with this address owns. Raises BadRequest, NotFound."""
    organization = session.scalar(
        select(Organization)
        .join(Membership, Membership.org_id == Organization.id)
        .join(User, User.id == Membership.user_id)
        .where(User.email == normalise_email(email), Membership.role == Role.OWNER)
        .order_by(Organization.id)
    )
    if organization is None:
        raise NotFound(f"There is no account with the e-mail {email}.")
    return organization


def has_slug(slug: str) -> ColumnElement[bool]:
    """Whether an organization has this slug, or had it before."""
    former = select(FormerSlug.org_id).where(FormerSlug.slug == slug).scalar_subquery()
    return or_(Organization.slug == slug, Organization.id == former)


def member_of(
    person: Person, slug: str, mode: Mode, address: str, now: datetime, test_images: int
) -> Principal | None:
    """The principal of a person in the organization with this slug, or with this former slug, read
    from the database each time. None if the person is no member of it.

    ``address`` is the IP address of the request, ``test_images`` the daily limit of images of test
    keys.
    """
    wanted = (
        select(Membership.role, Organization, Plan)
        .join(Organization, Organization.id == Membership.org_id)
        .join(Plan, Plan.code == Organization.plan_code_at(now))
        .where(Membership.user_id == person.user_id)
    )
    with transaction() as session:
        row = session.execute(wanted.where(has_slug(slug))).one_or_none()
        if row is None:
            return None
        org_id = row.Organization.id
        last_seen.note(session, row.Organization, now)
        if person.last_org_id != org_id:
            session.change(update(User).where(User.id == person.user_id).values(last_org_id=org_id))
    role = Role(row.role)
    return Principal(
        org_id=org_id,
        actor=Actor(ActorKind.USER, person.user_id, address),
        mode=mode,
        scopes=frozenset(keys.SCOPES if may(role, Action.CHANGE_IMAGES) else ("read",)),
        allowance=Allowance.of(row.Plan, row.Organization, now, test_images),
        rate_limit_id=person.user_id,
        role=role,
        slug=row.Organization.slug,
        suspended=keys.suspension_of(row.Organization),
    )
