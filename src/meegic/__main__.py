"""`python -m meegic` is the command `meegic`."""

from meegic.cli.main import main

main()
