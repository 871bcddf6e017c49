"""Measurements. ``./run bench compress`` is the one to start with; nothing in here runs in production."""
