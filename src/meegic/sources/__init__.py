"""From clean data to sources, with what is not known about them."""
