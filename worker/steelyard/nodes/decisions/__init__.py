"""From state and time to the actions wanted now. Pure."""
