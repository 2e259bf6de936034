"""One file a format: what a user hands over, read as Samples. Nothing is decoded here."""
