"""Certificates as a server reads them, chooses among them and reads them again."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from rtmpd.exceptions import ConfigError
from rtmpd.net.certificates import Certificate, CertificateFiles, Certificates, CertificateSet

TLS12 = ssl.TLSVersion.TLSv1_2
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
YEAR_2100 = datetime(2100, 1, 1, tzinfo=UTC)
NOW = datetime(2099, 12, 31, tzinfo=UTC).timestamp()


class Desk:
    """Issues certificates into a folder, and looks at what a server shows."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.folder = folder
        self._writes = 0

    def issue(self, name: str, *names: str, not_after: datetime = YEAR_2100) -> CertificateFiles:
        issued = self.authority.issue_cert(
            *names, not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=not_after
        )
        files = CertificateFiles(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        self.write(files.chain, b"".join(each.bytes() for each in issued.cert_chain_pems))
        self.write(files.key, issued.private_key_pem.bytes())
        return files

    def write(self, path: Path, data: bytes) -> None:
        """Each time as if a second had gone by, however fine the clock of the file system is."""
        self._writes += 1
        path.write_bytes(data)
        os.utime(path, (self._writes, self._writes))

    def shown(self, context: ssl.SSLContext, asked: str | None = None) -> set[str]:
        """Names of the certificate that a client sees who asks for a name."""
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(trust)
        trust.check_hostname = False
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trust.wrap_bio(back, there, server_hostname=asked)
        server = context.wrap_bio(there, back, server_side=True)
        for side in (client, server) * 3:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        match client.getpeercert():
            case {"subjectAltName": names}:
                return {name for _, name in names}
        raise AssertionError("no certificate")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "rtmpd"):
        yield caplog


def test_a_certificate_tells_its_names_and_its_end(desk: Desk) -> None:
    files = desk.issue("one", "Live.example.com", "*.example.net", "192.0.2.1")
    found = Certificate.load(files, TLS12)
    assert found.names == ("live.example.com", "*.example.net", "192.0.2.1")
    assert found.not_after == YEAR_2100.timestamp()


def test_one_that_has_expired_is_shown_all_the_same(desk: Desk) -> None:
    """Clients say what is wrong; a server that does not start says it to nobody but its owner."""
    assert (
        Certificate.load(desk.issue("old", "a.test", not_after=LONG_AGO), TLS12).not_after
        == LONG_AGO.timestamp()
    )


def test_mistakes_are_told_in_a_sentence_each_and_all_at_once(desk: Desk) -> None:
    good, other = desk.issue("good", "a.test"), desk.issue("other", "b.test")
    (desk.folder / "text").write_text("nothing of the kind")
    wrong = [
        CertificateFiles(good.chain, other.key),
        CertificateFiles(good.chain, desk.folder / "missing"),
        CertificateFiles(desk.folder / "text", good.key),
    ]
    with pytest.raises(ConfigError) as told:
        CertificateSet.load([good, *wrong], TLS12)
    mismatch, missing, no_pem = told.value.problems
    assert mismatch.startswith(f"the certificate {good.chain} with the key {other.key} cannot be used: ")
    assert mismatch.endswith(": the key is of another certificate")
    assert missing.endswith(f"cannot be used: {desk.folder / 'missing'}: No such file or directory")
    assert no_pem.startswith(
        f"the certificate {desk.folder / 'text'} with the key {good.key} cannot be used: "
    )


def test_nobody_is_asked_for_a_passphrase(desk: Desk) -> None:
    from cryptography.hazmat.primitives import serialization

    files = desk.issue("good", "a.test")
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ConfigError, match=r"the key .*good\.key cannot be used: it is encrypted; take"):
        Certificate.load(files, TLS12)


def test_clients_are_shown_the_one_for_the_name_that_they_ask_for(desk: Desk) -> None:
    files = [desk.issue("a", "a.test"), desk.issue("b", "b.test"), desk.issue("wild", "*.c.test", "b.test")]
    certificates = Certificates()
    certificates.current = CertificateSet.load(files, TLS12)
    for asked, shown in {
        None: {"a.test"},
        "nobody.test": {"a.test"},
        "a.test": {"a.test"},
        "B.test": {"b.test"},
        "live.c.test": {"*.c.test", "b.test"},
        "deep.live.c.test": {"a.test"},
    }.items():
        assert desk.shown(certificates.context, asked) == shown, asked
    assert certificates.expiries().keys() == {"a.test", "b.test", "*.c.test"}


def test_renewed_files_are_read_once_they_have_settled(desk: Desk, log: pytest.LogCaptureFixture) -> None:
    certificates = Certificates()
    certificates.current = CertificateSet.load([desk.issue("a", "old.test")], TLS12)
    for _ in range(3):
        certificates.refresh(NOW)
    assert log.messages == []
    desk.issue("a", "new.test")
    certificates.refresh(NOW)
    assert desk.shown(certificates.context) == {"old.test"}
    certificates.refresh(NOW)
    assert desk.shown(certificates.context) == {"new.test"}
    certificates.refresh(NOW)
    assert (log.messages, certificates.failures) == (["certificates reloaded"], 0)


def test_files_that_cannot_be_used_change_nothing_and_are_told_once(
    desk: Desk, log: pytest.LogCaptureFixture
) -> None:
    certificates = Certificates()
    files = desk.issue("a", "old.test")
    certificates.current = CertificateSet.load([files], TLS12)
    new = desk.issue("b", "new.test")
    desk.write(files.chain, new.chain.read_bytes())
    for _ in range(4):
        certificates.refresh(NOW)
    assert desk.shown(certificates.context) == {"old.test"}
    assert (log.messages, certificates.failures) == (["certificates not reloaded"], 1)
    assert "the key is of another certificate" in vars(log.records[0])["fields"]["error"]
    files.key.unlink()
    for _ in range(4):
        certificates.refresh(NOW)
    assert certificates.failures == 2
    desk.write(files.key, new.key.read_bytes())
    for _ in range(4):
        certificates.refresh(NOW)
    assert desk.shown(certificates.context) == {"new.test"}
    assert (log.messages[2:], certificates.failures) == (["certificates reloaded"], 2)


def test_one_that_expires_is_told_once_and_its_successor_again(
    desk: Desk, log: pytest.LogCaptureFixture
) -> None:
    certificates = Certificates()
    certificates.current = CertificateSet.load([desk.issue("a", "a.test"), desk.issue("b", "b.test")], TLS12)
    end = YEAR_2100.timestamp()
    for now in (end - 1, end, end + 90000):
        certificates.refresh(now)
    told = [(record.getMessage(), vars(record)["fields"]) for record in log.records]
    assert told == [("certificate expired", {"name": name, "days": 0}) for name in ("a.test", "b.test")]
    log.clear()
    desk.issue("a", "a.test", not_after=datetime(2100, 1, 2, tzinfo=UTC))
    for _ in range(3):
        certificates.refresh(end + 2 * 86400)
    assert log.messages == ["certificates reloaded", "certificate expired"]
    assert vars(log.records[1])["fields"] == {"name": "a.test", "days": 1}


def test_without_certificates_there_is_nothing_to_look_at() -> None:
    certificates = Certificates()
    certificates.refresh(NOW)
    assert (certificates.expiries(), certificates.failures) == ({}, 0)
