"""The values of a plan, to a form and back."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.models import Plan
from app.services.staff.plan_values import LARGEST, NUMBERS, WITHOUT_LIMIT, form_of, read

TEXT = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=60)
PLANS = st.fixed_dictionaries({
    **{name: st.none() | TEXT for name in ("name", "tagline", "price_text")},
    **{
        name: (st.none() if name in WITHOUT_LIMIT else st.nothing()) | st.integers(1, most)
        for name, most in NUMBERS.items()
    },
    "workspace_api": st.booleans(),
    "listed": st.booleans(),
})  # fmt: skip


@given(PLANS)
def test_a_form_brings_back_the_values_that_it_was_filled_with(values: dict[str, Any]) -> None:
    assert read(form_of(values), Plan(file_mb=1), LARGEST) == (values, [])


@given(st.dictionaries(st.sampled_from([*NUMBERS, "name", "listed"]), st.text(max_size=20)))
def test_whatever_a_form_holds_what_is_taken_fits_the_database(form: dict[str, str]) -> None:
    values, problems = read(form, Plan(file_mb=1), 1024)
    wrong = {problem.partition(":")[0] for problem in problems}
    for name, most in NUMBERS.items():
        value = values[name]
        assert name in wrong or (value is None and name in WITHOUT_LIMIT) or 0 <= value <= most
