"""Where cleaning meets MNE."""
