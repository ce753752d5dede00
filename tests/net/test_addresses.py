from __future__ import annotations

import errno
import socket

import pytest

from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import Address, bound_address, network_of, open_listener, peer_ip, site_of

HAS_IPV6 = socket.has_dualstack_ipv6()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":1935", Address("", 1935)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:1935", Address("::1", 1935)),
        ("example.org:65535", Address("example.org", 65535)),
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


def test_an_ipv6_address_wants_brackets() -> None:
    with pytest.raises(ConfigError, match="in brackets"):
        Address.parse("::1:1935")


def test_a_listener_is_bound_and_does_not_block() -> None:
    with open_listener(Address("127.0.0.1", 0)) as sock:
        assert sock.getblocking() is False
        address = bound_address(sock)
        assert address.host == "127.0.0.1"
        assert address.port > 0


def test_a_listener_without_a_host_takes_both_families() -> None:
    with open_listener(Address("", 0)) as sock:
        address = bound_address(sock)
        assert address.host == ""
        for host in ("127.0.0.1", "::1") if HAS_IPV6 else ("127.0.0.1",):
            with socket.create_connection((host, address.port), timeout=5) as client:
                peer, name = sock.accept()
                with peer:
                    assert peer_ip(name) == host == client.getsockname()[0]


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with open_listener(Address("127.0.0.1", 0)) as sock:
        taken = bound_address(sock)
        with pytest.raises(
            ConfigError, match=rf"cannot listen on {taken}: .*is another server running there\?"
        ):
            open_listener(taken)


@pytest.mark.skipif(not HAS_IPV6, reason="needs IPv6")
def test_a_port_taken_on_ipv6_alone_is_not_silently_listened_on_with_ipv4() -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6) as sock,
        pytest.raises(ConfigError, match="is another server running there"),
    ):
        open_listener(Address("", sock.getsockname()[1]))


def test_a_kernel_without_ipv6_is_listened_on_with_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    create_server = socket.create_server

    def no_ipv6(*args, family=socket.AF_INET, **options):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return create_server(*args, family=family, **options)

    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: True)
    monkeypatch.setattr(socket, "create_server", no_ipv6)
    with open_listener(Address("", 0)) as sock:
        assert sock.family == socket.AF_INET


def test_an_unknown_host_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 203\.0\.113\.1:1935: .*check the address"):
        open_listener(Address("203.0.113.1", 1935))


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (("192.0.2.1", 5000), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5000, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 5000, 0, 2), "fe80::1"),
        (None, "unknown"),
        ("/run/socket", "unknown"),
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
        ("unknown", "unknown", "unknown"),
    ],
)
def test_an_ipv6_subscriber_is_one_client_of_a_site(address: str, network: str, site: str) -> None:
    assert network_of(address) == network
    assert site_of(network) == site
