"""A cohort in numbers."""
