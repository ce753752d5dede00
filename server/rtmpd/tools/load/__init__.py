"""The crowds of ``rtmpd bench``."""
