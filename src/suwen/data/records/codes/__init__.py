"""Codes, and the codes above them."""
