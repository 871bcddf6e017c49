"""What other servers tell us: verify, store, answer; a job does the rest."""
