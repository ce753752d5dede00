"""Processes that the server starts: those that live as long as a stream."""
