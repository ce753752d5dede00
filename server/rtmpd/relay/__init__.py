"""Streams from and to other servers."""
