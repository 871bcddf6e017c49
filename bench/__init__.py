"""Measurements: ``./run bench compress``, ``list``, ``export``; nothing in here runs in
production."""
