"""Accounts: API keys, users and their organizations, and the principal of a request."""
