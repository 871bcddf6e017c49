"""Webhooks: verify and store the event, then answer. A job handles it later."""
