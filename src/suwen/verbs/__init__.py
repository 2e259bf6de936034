"""What a user does, in Python and on the command line alike. Each is a row of the entry-point group ``suwen.verbs``."""
