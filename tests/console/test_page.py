"""The page of a stream as viewers see it: in a real browser, with media that it decodes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from browser_kit import Browser
from page_kit import Begin, Encoder, page_of, showing
from rtmpd_process import assert_clean_exit, rtmpd

from rtmpd.access.keys import digest_of, spell_digest

pytestmark = pytest.mark.console

KEY = "a-key-to-watch-with"


@pytest.mark.parametrize(
    "scenario", ["plays", "muted", "keys", "phone", "lacks", "stands", "tapped", "breaks"]
)
def test_a_stream_is_watched(viewer: Browser, plain: Begin, scenario: str) -> None:
    with showing(plain, "apps.live.handover.grace=0", "apps.live.page.viewers=true") as (server, encoder):
        viewer.run(scenario, page_of(server), publish=encoder.publish, stop=encoder.stop)


def test_a_stream_is_watched_by_hls_where_there_is_nothing_else(viewer: Browser, plain: Begin) -> None:
    settings = ("apps.live.mp4.fragment=off", "apps.live.handover.grace=0", "apps.live.hls.grace=1")
    with showing(plain, *settings) as (server, encoder):
        viewer.run("hls", page_of(server), publish=encoder.publish, stop=encoder.stop)


def test_who_may_go_back_does(viewer: Browser, plain: Begin) -> None:
    with showing(plain, "apps.live.ring.seconds=60", "apps.live.ring.rewind=true") as (
        server,
        encoder,
    ):
        viewer.run("rewind", page_of(server), publish=encoder.publish)


def test_an_encoder_that_is_lost_is_waited_for(viewer: Browser, plain: Begin) -> None:
    with showing(plain, "apps.live.handover.grace=60") as (server, encoder):
        viewer.run("returns", page_of(server), publish=encoder.publish, lose=encoder.lose)


def test_a_picture_that_does_not_come_back_is_begun_anew(viewer: Browser, plain: Begin) -> None:
    with showing(plain, "apps.live.handover.grace=60") as (server, encoder):
        viewer.run("held", page_of(server), publish=encoder.publish, lose=encoder.lose)


def test_what_is_not_offered_to_browsers_is_not_asked_for(viewer: Browser, plain: Begin) -> None:
    with showing(plain, "apps.live.mp4.fragment=off", "apps.live.hls.enabled=false") as (server, encoder):
        viewer.run("unoffered", page_of(server), publish=encoder.publish)


def test_a_slate_is_called_one(viewer: Browser, plain: Begin) -> None:
    with showing(plain, "apps.live.still=true") as (server, encoder):
        viewer.run("slate", page_of(server), publish=encoder.publish, lose=encoder.lose)


def test_who_has_no_key_is_told_so_and_nobody_is_shown_one(viewer: Browser, plain: Begin) -> None:
    with showing(plain, f"apps.live.play.keys.show={spell_digest(digest_of(KEY))}") as (
        server,
        encoder,
    ):
        viewer.run("locked", page_of(server), publish=encoder.publish, key=lambda: KEY)
        assert KEY not in str(server.log)


def test_who_has_a_wrong_key_is_told_so_where_nobody_is_told_whether_it_is_live(
    viewer: Browser, plain: Begin
) -> None:
    keys = f"apps.live.play.keys.show={spell_digest(digest_of(KEY))}"
    with showing(plain, keys, "apps.live.page.status=nobody") as (server, encoder):
        viewer.run("barred", page_of(server), publish=encoder.publish)


class Framing(BaseHTTPRequestHandler):
    """A page that shows another in a frame."""

    framed = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        script = "document.querySelector('iframe').onload = (e) => { e.target.dataset.loaded = 'yes'; };"
        frame = f'<iframe src="{self.framed}" width="640" height="360" allow="autoplay"></iframe>'
        self.wfile.write(f"<!doctype html><p>Another page.</p>{frame}<script>{script}</script>".encode())

    def log_message(self, *_args: object) -> None:
        """Nobody wants to know."""


@contextmanager
def other_site() -> Iterator[tuple[str, type[Framing]]]:
    handler = type("Handler", (Framing,), {})
    pages = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{pages.server_port}", handler
    finally:
        pages.shutdown()
        pages.server_close()


def test_other_pages_show_it_where_the_settings_name_them(viewer: Browser, plain: Begin) -> None:
    with (
        other_site() as (friend, one),
        other_site() as (stranger, two),
        showing(plain, f"apps.live.page.frame_ancestors={friend}") as (server, encoder),
    ):
        one.framed = two.framed = f"{page_of(server)}?embed=1"
        wishes = {"friend": lambda: friend, "stranger": lambda: stranger}
        viewer.run("embed", page_of(server), publish=encoder.publish, **wishes)


def test_the_console_shows_what_viewers_see(viewer: Browser, plain: Begin) -> None:
    with showing(plain) as (server, encoder):

        def unwatched() -> None:
            """Who has left the view watches no more."""
            server.log.wait_for({"event": "play ended", "stream": "show"})

        admin = f"http://127.0.0.1:{server.port('admin')}"
        viewer.run("preview", admin, publish=encoder.publish, unwatched=unwatched)


def test_the_console_asks_for_the_proof_that_viewers_need(viewer: Browser, plain: Begin) -> None:
    with showing(plain, f"apps.live.play.keys.show={spell_digest(digest_of(KEY))}") as (server, encoder):
        admin = f"http://127.0.0.1:{server.port('admin')}"
        viewer.run("proven", admin, publish=encoder.publish, key=lambda: KEY)


def test_the_console_says_where_browsers_can_play_nothing(viewer: Browser, plain: Begin) -> None:
    with rtmpd() as server:
        encoder = Encoder(server, plain)
        try:
            viewer.run("unseen", f"http://127.0.0.1:{server.port('admin')}", publish=encoder.publish)
        finally:
            encoder.end()
        assert_clean_exit(server)
