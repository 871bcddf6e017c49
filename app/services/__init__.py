"""Use cases as plain functions. They take a session or open a transaction, and never commit a
session that was passed to them."""
