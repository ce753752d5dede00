from __future__ import annotations

from metrics_sources import busy_server, collected

from rtmpd.web.metrics import render


def test_the_page_speaks_openmetrics_when_asked_to() -> None:
    families = collected(busy_server().metrics())
    content_type, body = render(families, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    content_type, body = render(families, "text/plain;version=0.0.4")
    assert content_type.startswith("text/plain")
    assert b"# EOF" not in body
