"""File transfer without an API key: signed uploads and downloads, published images."""
