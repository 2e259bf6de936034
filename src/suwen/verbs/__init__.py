"""What a user does, the same in Python and on the command line. Each is a row of the entry-point group ``suwen.verbs``."""
