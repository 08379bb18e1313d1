"""The command line: parse, call, print. `--help` imports nothing heavy."""
