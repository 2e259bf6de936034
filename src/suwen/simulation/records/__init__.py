"""The ward of records: people over decades, as their hospital wrote them down, with the truth beside."""
