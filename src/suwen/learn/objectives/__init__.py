"""What is learned without labels. Each objective is a TaskModule that the same `fit()` trains."""
