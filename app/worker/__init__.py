"""The worker: ``python -m app.worker`` runs one process per queue, so that long jobs do not delay
short ones.

That process starts another one for each job (RQ calls it the work horse). Each process ends with
its parent. Any of them may be killed at any time; its job is then done again.
"""
