"""Every operation of the API: of this table its routes are made, and its document."""

from __future__ import annotations

from typing import Final

from rtmpd.web import (
    ban_operations,
    clip_operations,
    event_operations,
    key_operations,
    log_operations,
    login_descriptions,
    record_operations,
    recording_operations,
    relay_operations,
    report_operations,
    server_operations,
    session_operations,
    settings_operations,
    stream_operations,
)

OPERATIONS: Final = (
    *server_operations.OPERATIONS,
    *stream_operations.OPERATIONS,
    *clip_operations.OPERATIONS,
    *session_operations.OPERATIONS,
    *ban_operations.OPERATIONS,
    *relay_operations.OPERATIONS,
    *key_operations.OPERATIONS,
    *settings_operations.OPERATIONS,
    *log_operations.OPERATIONS,
    *event_operations.OPERATIONS,
    *report_operations.OPERATIONS,
    *record_operations.OPERATIONS,
    *recording_operations.OPERATIONS,
    *login_descriptions.OPERATIONS,
)
