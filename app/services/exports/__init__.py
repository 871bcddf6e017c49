"""Many assets at once, transformed, in one ZIP."""
