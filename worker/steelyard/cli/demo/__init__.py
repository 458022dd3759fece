"""`steelyard demo`: a job from an empty chain to paid workers, with a cheat that is convicted.

The nodes are ordinary `steelyard run` processes; only `cheat` is staged (one wrong number).
"""
