from __future__ import annotations

from hypothesis import settings

# How long a busy machine takes over an example says nothing about the code.
settings.register_profile("rtmpd", deadline=None)
settings.load_profile("rtmpd")
