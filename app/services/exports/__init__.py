"""Exports of many transformed assets in one ZIP."""
