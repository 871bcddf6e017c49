"""What a development server brings along: ``./run serve``, its Valkey, and a fake Stripe.

Nothing here runs in production, and ``app`` imports nothing of it.
"""
