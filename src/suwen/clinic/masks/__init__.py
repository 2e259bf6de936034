"""What becomes of a drawn mask: files that viewers, planning systems and records read."""
