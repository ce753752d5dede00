"""Multitrack Video of OBS ("Enhanced Broadcasting"): what it asks before it goes live, and the answer."""
