"""The nodes of a job: workers (which also attest), aggregators and challengers, crash-safe by a journal."""
