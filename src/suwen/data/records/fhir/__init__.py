"""FHIR R4 JSON, read and written."""
