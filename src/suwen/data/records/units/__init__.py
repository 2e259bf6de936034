"""Units of values: counted, and converted by a table only."""
