"""Update and result files: fetched, checked, rebuilt."""
