"""Worker, attestor, aggregator and challenger; the journal lets them be killed at any moment."""
