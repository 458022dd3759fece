"""Actions as values, and the code that performs them."""
