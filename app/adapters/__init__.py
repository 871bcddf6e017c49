"""What lies outside: one Protocol for each, with a real and a local implementation."""
