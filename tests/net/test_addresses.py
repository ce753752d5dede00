from __future__ import annotations

import pytest

from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import UNIX, Address, is_local, network_of, peer_ip, site_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":1935", Address("", 1935)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:1935", Address("::1", 1935)),
        ("example.org:65535", Address("example.org", 65535)),
        ("unix:1935", Address("unix", 1935)),
        ("unix:/run/rtmpd/rtmp.sock", Address("", 0, "/run/rtmpd/rtmp.sock")),
    ],
)
def test_an_address_is_read_and_written_back(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "1935", "host:", "host:x", "host:65536", "host:-1", "host:١", "h:" + "9" * 5000]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError, match="write host:port"):
        Address.parse(text)


@pytest.mark.parametrize("path", ["/" + "x" * 103, "/run/\0", "/run/\n"])
def test_what_is_no_path_of_a_unix_socket(path: str) -> None:
    with pytest.raises(ConfigError, match="is no path for a Unix socket"):
        Address.parse(f"unix:{path}")


def test_an_ipv6_address_wants_brackets() -> None:
    with pytest.raises(ConfigError, match="in brackets"):
        Address.parse("::1:1935")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (("192.0.2.1", 5000), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5000, 0, 0), "192.0.2.1"),
        (("64:ff9b::192.0.2.1", 5000, 0, 0), "192.0.2.1"),
        (("64:ff9b::10.0.0.1", 5000, 0, 0), "64:ff9b::a00:1"),
        (("64:ff9b:1::192.0.2.1", 5000, 0, 0), "64:ff9b:1::c000:201"),
        (("2001:DB8::1", 5000, 0, 0), "2001:db8::1"),
        (("fe80::1%eth0", 5000, 0, 2), "fe80::1"),
        (None, "unknown"),
        ("", UNIX),
        (b"\0abstract", UNIX),
        ("/run/socket", UNIX),
        ((), "unknown"),
    ],
)
def test_the_address_of_a_peer(name: object, address: str) -> None:
    assert peer_ip(name) == address


@pytest.mark.parametrize(
    ("address", "network", "site"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("::1", "::/64", "::/48"),
        ("unix-7", "unix-7", "unix-7"),
        ("unknown", "unknown", "unknown"),
    ],
)
def test_an_ipv6_subscriber_is_one_client_of_a_site(address: str, network: str, site: str) -> None:
    assert network_of(address) == network
    assert site_of(network) == site


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.9.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1",
     "::1", "::/64", "fd00::7", "fd00:1:2:3::/64", "fe80::1", "fe80::/64", UNIX],
)  # fmt: skip
def test_what_is_local(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize(
    "address",
    ["203.0.113.7", "192.0.2.1", "172.32.0.1", "100.64.0.1", "0.0.0.0", "11.0.0.1", "2001:db8::7",
     "2001:db8::/64", "fec0::1", "unknown", ""],
)  # fmt: skip
def test_what_is_not_local(address: str) -> None:
    assert not is_local(address)
