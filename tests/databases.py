"""Run a test on SQLite and on PostgreSQL."""

import pytest

on_both_databases = pytest.mark.parametrize("app", ["sqlite", "postgresql"], indirect=True)
