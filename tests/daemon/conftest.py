from live_fixtures import clip, server, url

__all__ = ["clip", "server", "url"]
