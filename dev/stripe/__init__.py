"""The fake Stripe: a small server of our own that stands in for Stripe in development and tests.
No real money.

It speaks the part of Stripe's HTTP API that Lightwell calls, keeps customers, subscriptions,
invoices and sessions as Stripe would, has a Checkout and a portal page, and sends signed webhooks.
It never runs in production, and nothing of Lightwell imports it: to Lightwell it is a Stripe
account at another address.
"""
