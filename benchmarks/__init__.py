"""What suwen is measured against, rivals in the same run: ``python -m benchmarks NAME``."""
