"""Files to Samples, Samples to memory-mapped columns, and the data check that comes before everything else."""
