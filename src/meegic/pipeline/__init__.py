"""Stages joined: config, plan, runs, reports, and the check of the machine."""
