"""Streams published on other servers too."""
