"""The worker: ``python -m app.worker`` keeps one process for each queue, so that long jobs don't
hold up short ones.

That process starts another one for each job (RQ calls it the horse). Each ends with the one above
it; any of them may be killed at any moment, and what it was doing is taken up again.
"""
