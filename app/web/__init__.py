"""The HTTP kit that all surfaces share. ``init_app`` fixes the order in which a request passes
through it."""

from flask import Flask

from app.web import (
    abuse_counts,
    admission,
    announcing,
    blocks,
    errors,
    formats,
    headers,
    idempotency,
    limits,
    maintenance,
    measures,
    media,
    requirements,
    sessions,
    static_files,
)


def init_app(app: Flask) -> None:
    """Before the view: assign the request id, refuse blocked networks and writes during
    maintenance, authenticate, limit the rate, authorize, check the body's type, replay a kept
    answer.

    After the view, in reverse: keep the answer, add the headers, count, log.
    """
    errors.init_app(app)
    formats.init_app(app)
    app.register_blueprint(static_files.blueprint)
    sessions.init_app(app)
    measures.init_app(app)
    app.before_request(headers.begin)
    app.after_request(headers.finish)
    blocks.init_app(app)
    app.before_request(blocks.check)
    announcing.init_app(app)
    app.before_request(maintenance.check)
    app.before_request(admission.begin)
    app.before_request(requirements.identify)
    limits.init_app(app)
    app.after_request(abuse_counts.count_registration)
    app.before_request(requirements.authorize)
    app.before_request(media.check)
    idempotency.init_app(app)
