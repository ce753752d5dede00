"""The way out: ``[shutdown]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from rtmpd.daemon.fields import FileName, Seconds, Section
from rtmpd.rtmp.url import check_server


class ShutdownConfig(Section):
    """The end, after SIGTERM, SIGINT or `rtmpd drain`."""

    drain_timeout: Seconds = 10.0
    """How long connections may take to send what they hold; then they are cut. 0 cuts at once. While
    publishers are waited for: how long everybody else may stay."""
    wait_for_publishers: Seconds = 0.0
    """How long encoders, and whoever plays what they send, go on before that; nobody new is let in. 0 ends
    them at once. Players of a stream that ends meanwhile end with it."""
    wait_after_handover: Seconds = 3600.0
    """The same after another process has taken over, which `rtmpd replace` starts: how long those may stay
    here who do not come to it by themselves."""
    runtime_dir: FileName = ""
    """Folder in which `rtmpd serve --replace` finds this process to take over from it. Empty is the one of
    RuntimeDirectory= in the unit; without one there is `rtmpd replace` alone."""
    reconnect_to: Annotated[str, AfterValidator(check_server)] = ""
    """Server that clients are asked to go to which know how (ReconnectRequest), such as
    rtmp://other.example; the app stays. Empty asks them to connect to the address that they know: there the
    next process of this server is, or whom a load balancer sends them to."""
