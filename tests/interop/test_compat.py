"""Documents of other servers beside those servers' own, and before programs that were made for them."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import noalbs
import pytest
from ffmpeg import bundled, start
from live_fixtures import ClipMaker
from media_clips import H264_AAC
from nginx_rtmp import NginxRtmp
from prometheus_client.parser import text_string_to_metric_families
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd
from tools import find_tool

pytestmark = pytest.mark.interop

PATIENCE = 20.0
OURS_ALONE = {"nginx_version", "nginx_rtmp_version", "compiler", "built", "flashver"}
"""Texts of their own kind."""


@pytest.fixture
def ours() -> Iterator[RtmpdProcess]:
    with rtmpd("compat.nginx_rtmp.admin=true") as process:
        yield process
        assert_clean_exit(process)


def eventually(found: Callable[[], str], wanted: Callable[[str], bool]) -> str:
    tick = threading.Event()
    deadline = time.monotonic() + PATIENCE
    while not wanted(page := found()):
        assert time.monotonic() < deadline, page
        tick.wait(0.2)
    return page


@contextlib.contextmanager
def watched(url: str, source: Path) -> Iterator[None]:
    """An encoder, and a player who has seen something."""
    with bundled().publish(source, url, loop=True):
        arguments = ("-loglevel", "error", "-i", url, "-c", "copy", "-f", "null", "-")
        with start(find_tool("ffmpeg"), *arguments):
            yield


def is_busy(page: str) -> bool:
    """An encoder and a player are there, and known."""
    return "<nclients>2</nclients>" in page and "<sample_rate>" in page and "<bw_video>0<" not in page


def shape(element: ET.Element, way: str = "") -> list[str]:
    """What elements there are, in order, and what kind of text each has."""
    if element.tag == "client":  # The order of those is nobody's.
        return [f"{way}/client"]
    text = "" if element.tag in OURS_ALONE else re.sub(r"^-?\d+$", "number", (element.text or "").strip())
    found = [f"{way}/{element.tag} {text}"]
    for each in element:
        if each.tag != "compiler":  # Debian's does not say.
            found += shape(each, f"{way}/{element.tag}")
    return found


def clients(page: str) -> list[list[tuple[str, str]]]:
    found = [
        [(each.tag, re.sub(r"^-?\d+$", "number", each.text or "")) for each in client]
        for client in ET.fromstring(page).iter("client")
    ]
    return sorted([(tag, "" if tag in OURS_ALONE else text) for tag, text in client] for client in found)


def test_the_page_is_element_by_element_that_of_nginx_rtmp(
    nginx: NginxRtmp, ours: RtmpdProcess, clip: ClipMaker
) -> None:
    source = clip(H264_AAC)
    with watched(nginx.url("show"), source), watched(ours.url("show"), source):
        theirs = eventually(lambda: nginx.get("/stat"), is_busy)
        mine = eventually(lambda: ours.get("/stat"), is_busy)
        assert shape(ET.fromstring(mine)) == shape(ET.fromstring(theirs))
        assert clients(mine) == clients(theirs)
        wanted = noalbs.source_info(theirs, "live", "show")
        assert wanted is not None
        # We count pictures and they believe the encoder, which may be out of step where much else runs.
        eventually(lambda: ours.get("/stat"), lambda page: noalbs.source_info(page, "live", "show") == wanted)
        # Both drop whom the page names, and say how many that were.
        for get in (nginx.get, ours.get):
            number = re.search(r"<client><id>(\d+)</id>(?:(?!</client>).)*<publishing/>", get("/stat"))
            assert number is not None
            assert get(f"/control/drop/subscriber?app=live&name=show&clientid={number[1]}") == "0"
            assert get(f"/control/drop/publisher?app=live&name=show&clientid={number[1]}") == "1"
        eventually(lambda: ours.get("/stat"), lambda page: noalbs.streams(page) == [])


COLLECTD = """
BaseDir "{folder}"
PIDFile "{folder}/collectd.pid"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin curl_xml
LoadPlugin write_prometheus
<Plugin curl_xml>
  <URL "http://127.0.0.1:{admin}/stat">
    Instance "rtmp"
    <XPath "/rtmp/server/application/live/stream">
      Type "bitrate"
      InstanceFrom "name"
      ValuesFrom "bw_video"
    </XPath>
    <XPath "/rtmp/server/application/live/stream">
      Type "users"
      InstanceFrom "name"
      ValuesFrom "nclients"
    </XPath>
    <XPath "/rtmp">
      Type "total_bytes"
      InstancePrefix "in"
      ValuesFrom "bytes_in"
    </XPath>
  </URL>
</Plugin>
<Plugin write_prometheus>
  Host "127.0.0.1"
  Port "{port}"
</Plugin>
"""


def test_an_exporter_reads_the_page(ours: RtmpdProcess, clip: ClipMaker, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = tmp_path / "collectd.conf"
    configuration.write_text(COLLECTD.format(folder=tmp_path, admin=ours.port("admin"), port=port))

    def exported() -> str:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer,
        ):
            page: bytes = answer.read()
            return page.decode()
        return ""

    with (
        watched(ours.url("show"), clip(H264_AAC)),
        start(find_tool("collectd"), "-f", "-C", str(configuration)) as collectd,
    ):
        eventually(lambda: ours.get("/stat"), is_busy)
        page = eventually(exported, lambda page: 'users{curl_xml="rtmp",type="show"' in page)
        assert collectd.running()
    values = {
        (sample.name, sample.labels["type"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert values["collectd_curl_xml_bitrate", "show"] > 0
    assert values["collectd_curl_xml_users", "show"] >= 1
    assert values["collectd_curl_xml_total_bytes_total", "in"] > 0
