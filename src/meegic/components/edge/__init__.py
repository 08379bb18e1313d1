"""Where the decomposition meets MNE."""
