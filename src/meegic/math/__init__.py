"""Textbook mathematics of two or more stages; no neuro words in here."""
