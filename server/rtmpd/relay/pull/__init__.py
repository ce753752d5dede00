"""Streams fetched from other servers."""
