"""The worker: ``python -m app.worker`` keeps one process for each queue, so that long jobs don't
hold up short ones.

That process starts another for each job, the horse, as RQ calls it. Each ends with the one above
it; any of them may be killed at any moment, and what it was doing is taken up again.
"""
