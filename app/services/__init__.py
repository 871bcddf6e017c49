"""Use cases, as plain functions: they take a session or open a transaction, and never commit one
they were given."""
