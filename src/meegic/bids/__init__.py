"""Recordings in files: looked at, found and opened."""
