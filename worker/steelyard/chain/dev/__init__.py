"""Development chains and the programs that run them."""
