"""Clients that come to us: listeners, connections, and the answers to what they ask."""
