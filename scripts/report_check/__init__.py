"""An independent check of a demo's report from chain and content alone, without Steelyard's code.

Only the standard library, NumPy, keccak and ABI decoding. Written from docs/protocol.md, so that it does not
repeat a mistake of the program.
"""
