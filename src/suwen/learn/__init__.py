"""One `fit()` for all: supervised fine-tuning, pretraining, adapters, private and federated rounds."""
