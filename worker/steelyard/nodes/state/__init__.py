"""A job's state, folded from the chain's events, and what the node itself knows. No I/O."""
