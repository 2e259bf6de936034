"""Formats that records come in, one a file."""
