"""Where labels meet MNE."""
