"""Active learning: which unlabelled inputs to label next. Each strategy is a row of ``suwen.strategies``."""
