"""From raw to clean: what is wrong with a recording, and how it is mended."""
