"""The demo: every stage that exists, on a recording whose truth is known."""
