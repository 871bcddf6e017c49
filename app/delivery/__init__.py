"""Bytes without a key: signed uploads and downloads, published images."""
