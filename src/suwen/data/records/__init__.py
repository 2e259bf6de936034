"""Health records: any format in, one store, one integer-coded column cache."""
