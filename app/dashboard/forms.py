"""Forms that come back with what is wrong at their fields."""

from flask import Response

from app.errors import AppError


def problems_of(refusal: AppError | None) -> dict[str, str]:
    """The sentence by the field that it belongs to, as ``errors`` names them; under ``form`` if it
    belongs to none."""
    if refusal is None:
        return {}
    if not refusal.errors:
        return {"form": refusal.message}
    problems = dict(problem.split(": ", 1) for problem in refusal.errors)
    if len(problems) == 1 and refusal.message != refusal.errors[0]:
        return dict.fromkeys(problems, refusal.message)
    return {field: f"{problem[0].upper()}{problem[1:]}." for field, problem in problems.items()}


def refused(response: Response, refusal: AppError | None) -> Response:
    """The page with the refusal's status and headers, if there is one."""
    if refusal:
        response.status_code = refusal.status
        response.headers.update(refusal.headers)
    return response
