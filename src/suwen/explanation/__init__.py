"""What an answer rests on. Each method is a row of the entry-point group ``suwen.explanations``."""
