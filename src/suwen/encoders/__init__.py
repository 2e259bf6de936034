"""Z = C(X): encoders by family. Each family is a row of the entry-point group ``suwen.encoders``."""
