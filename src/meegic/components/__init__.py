"""From clean data to independent components."""
