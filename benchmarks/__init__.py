"""Benchmarks of meegic; README.md says how to run and how to add one."""
