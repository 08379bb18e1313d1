"""From components to their labels."""
