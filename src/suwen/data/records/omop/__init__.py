"""OMOP CDM, read and written."""
