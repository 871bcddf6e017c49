"""Measurements: ``./run bench compress``, ``list``, ``export``; nothing here runs in production."""
