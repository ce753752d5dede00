"""Clips that ffmpeg has encoded."""

from live_fixtures import clip

__all__ = ["clip"]
