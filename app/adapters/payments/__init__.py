"""What customers pay, by a provider."""
