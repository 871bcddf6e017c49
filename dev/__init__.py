"""The development server: ``./run serve``, its Valkey, and a fake Stripe.

Nothing here runs in production, and ``app`` does not import it.
"""
