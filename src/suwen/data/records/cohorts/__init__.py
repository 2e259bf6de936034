"""Cohorts and labels: who, when, and what is to be predicted, told in YAML and computed over columns of events."""
