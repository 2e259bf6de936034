"""Tables of any shape, read by a mapping."""
