"""The exact core: numbers, encodings, aggregation, and the types of the protocol. No I/O beyond files."""
