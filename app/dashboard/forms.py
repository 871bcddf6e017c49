"""Forms that come back with what is wrong at their fields."""

from flask import Response

from app.errors import AppError


def problems_of(refusal: AppError | None) -> dict[str, str]:
    """The sentence by the field that it belongs to, as the first of ``errors`` names it; under
    ``form`` if it belongs to none."""
    if refusal is None:
        return {}
    field = refusal.errors[0].partition(":")[0] if refusal.errors else "form"
    return {field: refusal.message}


def refused(response: Response, refusal: AppError | None) -> Response:
    """The page with the refusal's status and headers, if there is one."""
    if refusal:
        response.status_code = refusal.status
        response.headers.update(refusal.headers)
    return response
