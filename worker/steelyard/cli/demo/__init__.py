"""`steelyard demo`: a job from an empty chain to paid workers, with a cheat that is caught.

The nodes are the `steelyard run` that anybody starts; what is staged (one wrong number) is in `cheat` alone.
"""
