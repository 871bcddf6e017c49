"""Plans, subscriptions and the payment provider."""
