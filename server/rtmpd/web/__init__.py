"""The HTTP surface: metrics and health."""
