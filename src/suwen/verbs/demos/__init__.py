"""What ``suwen demo`` shows, one demo a file."""
