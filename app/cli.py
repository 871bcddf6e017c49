"""Commands for operators: ``flask users|orgs|keys|billing|mail|storage|sweep``."""

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext

from app.adapters.mail import MailNotSent, MailRefused
from app.adapters.storage.s3 import S3Storage
from app.errors import AppError, NotFound
from app.extensions import transaction
from app.models import Actor, ActorKind, Mode, StaffRole
from app.services import inventory, mail, outbox, staff_log
from app.services.accounts import identity, keys
from app.services.billing import inbox, plans, reconciliation, review_flags
from app.services.library import allowed_hosts
from app.services.staff import roles
from app.services.staff_log import Acting
from app.services.sweep import sweep
from app.tenancy import TenantSession
from app.web.context import container, now, require_provider


class Commands(AppGroup):
    """Commands that report an AppError as a sentence and an exit status, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AppError as error:
            raise click.ClickException("\n".join([error.message, *error.errors])) from None


users = Commands("users", help="People.")
orgs = Commands("orgs", help="Organizations.")
api_keys = Commands("keys", help="API keys.")
billing = Commands("billing", help="What the payment provider says, and what came of it.")

mails = Commands("mail", help="Mail that the server sends.")
stored = Commands("storage", help="Files, and what the database says of them.")

OPERATOR = Actor(ActorKind.SYSTEM, "operator")
"""The actor in the audit log."""


@users.command("create")
@click.argument("email")
@click.option(
    "--password", help="So that the user can sign in; without it the account is claimed by e-mail."
)
@click.option("--staff", is_flag=True, help="May enter the staff console.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in StaffRole]),
    help="What they may do there; support by default.",
)
def create_user(email: str, password: str | None, staff: bool, role: str | None) -> None:
    """Make a user with an organization of their own on the FREE plan. The address counts as
    confirmed."""
    if role and not staff:
        raise click.UsageError("--role is for --staff.")
    staff_role = StaffRole(role or StaffRole.SUPPORT) if staff else None
    with transaction() as session:
        organization = identity.create_account(
            session, email, now(), password=password, staff_role=staff_role, is_confirmed=True
        )
        if staff_role:
            _record_role(session, email, roles.NONE, staff_role)
    click.echo(
        f"Created {identity.normalise_email(email)} with the organization {organization.id}."
    )


@users.command("set-role")
@click.argument("email")
@click.argument("role", type=click.Choice([*(role.value for role in StaffRole), roles.NONE]))
def set_role(email: str, role: str) -> None:
    """Say what the existing user EMAIL may do in the staff console; none makes them no staff.

    All their sessions end, and they are told by mail. The last admin stays.
    """
    wanted = None if role == roles.NONE else StaffRole(role)
    with transaction() as session:
        user = identity.find_user(session, email)
        if user is None:
            raise NotFound(f"There is no account with the e-mail {email}.")
        done = roles.set_role(session, user.id, wanted, container().settings.site, now())
        _record_role(session, email, done.before, done.after)
    click.echo(f"{user.email}: {done.before} before, {done.after} now.")


def _record_role(session: TenantSession, email: str, before: str, after: str) -> None:
    user = identity.find_user(session, email)
    assert user is not None  # noqa: S101  # its role was set in this transaction
    who = Acting(OPERATOR, OPERATOR.id, "From the command line.")
    staff_log.record(
        session, who, roles.CHANGED, now(),
        subject=user.id, before={"role": before}, after={"role": after},
    )  # fmt: skip


@orgs.command("set-plan")
@click.argument("email")
@click.argument("plan")
def set_plan(email: str, plan: str) -> None:
    """Grant PLAN to the organization of the user EMAIL, free of charge; FREE takes the grant back.

    It holds from the next request on. An organization that pays for a higher plan stays on that.
    """
    with transaction() as session:
        organization = identity.organization_of(session, email)
    with transaction(organization.id) as session:
        organization = plans.grant(session, plan, OPERATOR, now())
    click.echo(f"{organization.id} is on the {organization.plan_code} plan.")


@orgs.command("unflag")
@click.argument("email")
def unflag(email: str) -> None:
    """Take a flag, such as a disputed payment leaves, off the organization of the user EMAIL."""
    with transaction() as session:
        organization = identity.organization_of(session, email)
    with transaction(organization.id) as session:
        flag = review_flags.set_flag(session, None, OPERATOR, now())
    click.echo(
        f"{organization.id} is not flagged any more: {flag}"
        if flag
        else f"{organization.id} was not flagged."
    )


@orgs.command("allow-host")
@click.argument("email")
@click.argument("host")
@click.option("--forget", is_flag=True, help="Allow it no longer.")
def allow_host(email: str, host: str, forget: bool) -> None:
    """Let the organization of the user EMAIL create images from URLs at HOST."""
    with transaction() as session:
        organization = identity.organization_of(session, email)
    with transaction(organization.id) as session:
        if forget:
            allowed_hosts.forget(session, host, OPERATOR, now())
            click.echo(f"Images are not fetched from {host} any more.")
        else:
            name = allowed_hosts.allow(session, host, OPERATOR, now())
            click.echo(f"Images may be fetched from {name}.")


def _scopes(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(scope.strip() for scope in value.split(",")))
    if unknown := set(scopes) - set(keys.SCOPES):
        raise click.BadParameter(
            f"unknown scope {', '.join(sorted(unknown))}; there are {', '.join(keys.SCOPES)}"
        )
    return scopes


@api_keys.command("create")
@click.argument("email")
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.LIVE.value,
    show_default=True,
)
@click.option("--scopes", callback=_scopes, default=",".join(keys.SCOPES), show_default=True)
@click.option("--name", default="Command line", show_default=True)
def create_key(email: str, mode: str, scopes: tuple[str, ...], name: str) -> None:
    """Make a key for the organization of the user EMAIL and print it: it cannot be shown again."""
    with transaction() as session:
        organization = identity.organization_of(session, email)
        key = keys.issue(
            session,
            org_id=organization.id,
            mode=Mode(mode),
            prefix=keys.PREFIXES[Mode(mode)],
            name=name,
            now=now(),
            scopes=scopes,
        )
    click.echo(key)


@billing.command("reconcile")
@click.option("--repair", is_flag=True, help="Take over what the payment provider says.")
@click.pass_context
def reconcile(context: click.Context, repair: bool) -> None:
    """Compare all organizations with the payment provider. Exits with 1 while there are
    differences."""
    provider = require_provider()
    found = list(reconciliation.differences(provider))
    left = 0
    for difference in found:
        repaired = repair and reconciliation.repair(provider, difference)
        left += not repaired
        who = " ".join(name for name in (difference.org_id, difference.customer_id) if name)
        click.echo(f"{who}: {difference.problem}{' (repaired)' if repaired else ''}")
    click.echo(f"Differences: {len(found)}, repaired: {len(found) - left}.")
    context.exit(1 if left else 0)


@billing.command("events")
def events() -> None:
    """List the payment provider's events that wait to be handled, and why."""
    with transaction() as session:
        waiting = inbox.unhandled(session)
    for event in waiting:
        reason = event.outcome or "not tried yet"
        click.echo(
            f"{event.id} {event.type} {event.subject} received {event.received_at:%Y-%m-%d %H:%M}: "
            f"{reason}"
        )
    click.echo(f"Events that wait: {len(waiting)}.")


@mails.command("test")
@click.argument("address")
def send_test_mail(address: str) -> None:
    """Send a mail to ADDRESS at once, to see whether the mail server takes it."""
    mailer = container().mailer
    if mailer is None:
        raise click.ClickException("No mail server is configured: set SMTP_URL and MAIL_FROM.")
    letter = mail.written(
        identity.normalise_email(address), "test", now(), site=container().settings.site
    )
    try:
        mailer.send(outbox.outgoing(letter))
    except (MailRefused, MailNotSent) as error:
        raise click.ClickException(f"The mail was not sent: {error}") from None
    click.echo(f"Sent to {letter.recipient}.")


@stored.command("compare")
@click.option("--remove", is_flag=True, help="Delete the objects that no row knows.")
@click.pass_context
def compare(context: click.Context, remove: bool) -> None:
    """Compare stored objects older than an hour with the rows, both ways. Exits with 1 while there
    are differences."""
    found = removed = 0
    for difference in inventory.compare(container().storage, now()):
        found += 1
        is_stray = difference.size is not None
        if remove and is_stray:
            container().storage.delete([difference.key])
            removed += 1
        click.echo(
            f"{difference.key} {difference.problem}{' (removed)' if remove and is_stray else ''}"
        )
    click.echo(f"Differences: {found}, removed: {removed}.")
    context.exit(1 if found > removed else 0)


@stored.command("cors")
@click.option("--origin", help="Of the pages; that of PUBLIC_URL by default.")
def allow_browsers(origin: str | None) -> None:
    """Let browsers upload from our pages straight to the bucket. Replaces the bucket's CORS
    rules."""
    storage = container().storage
    if not isinstance(storage, S3Storage):
        raise click.ClickException("Files are in a folder of this server: browsers need no rule.")
    allowed = origin or container().settings.site
    storage.allow_browsers(allowed)
    click.echo(f"Pages of {allowed} may upload to {storage.bucket}.")


@click.command("sweep")
@with_appcontext
def sweep_now() -> None:
    """Give back what crashed requests hold, and remove what has expired."""
    swept = sweep(container().storage, container().settings.spool_dir, now())
    swept["plans"] = plans.lapse_due(container().settings.site, now())
    for name, number in (+swept).items():
        click.echo(f"{name}: {number}")
    if not +swept:
        click.echo("Nothing to do.")


def init_app(app: Flask) -> None:
    for command in (users, orgs, api_keys, billing, mails, stored, sweep_now):
        app.cli.add_command(command)
