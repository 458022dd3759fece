"""Behind `steelyard job`: access to shards, and printing jobs."""
