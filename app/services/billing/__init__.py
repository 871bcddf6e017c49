"""Plans, and the payment provider that is asked about them."""
