"""An independent reading of a demo's report: chain and content alone, none of Steelyard's code.

Only the standard library, NumPy, keccak and ABI decoding. Written from docs/protocol.md, so that a mistake in
the program and its demo does not repeat itself here.
"""
