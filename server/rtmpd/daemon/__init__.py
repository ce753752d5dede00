"""Composition root: configuration, logging, command line, worker."""
