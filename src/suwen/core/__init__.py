"""The contract: what an encoder gives, what a head does with it, and what travels with a model."""
