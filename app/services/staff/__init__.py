"""What our own people look at and do across organizations."""
