"""Recordings with known truth: brain and artifact sources through a head model."""
