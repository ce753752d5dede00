"""Attacks on a server of one's own, and how they are judged: see ``bench/attacks.py``."""
