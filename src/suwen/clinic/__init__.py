"""What a clinician asks for, composed from encoders and heads. Tasks are rows, and rows import no torch."""
