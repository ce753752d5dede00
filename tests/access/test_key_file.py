"""A file of stream keys: what its lines say, what is wrong with them, and what happens while it changes."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.access import key_file, keys
from rtmpd.access.key_file import KeyFile, parse
from rtmpd.access.keys import Key, KeyRing
from rtmpd.exceptions import ConfigError

MAX_NAME_BYTES = 30
DIGEST = "sha256:" + "0" * 63


def digest(number: int) -> bytes:
    return keys.parse_digest(f"{DIGEST}{number:x}")


def parsed(text: str | bytes) -> list[Key]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(parse(data.splitlines(keepends=True), "keys", MAX_NAME_BYTES))


def problems(text: str | bytes) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return caught.value.problems


# -- what its lines say


def test_a_line_says_whose_key_it_is() -> None:
    text = f"""
# the studios
show  {DIGEST}1
show\t{DIGEST}2

talk {DIGEST}3 label="Studio 2, upstairs" until=2027-01-14
a/b  {DIGEST}4 label=Mia backup=true
    # indented, and the end of the file has no newline
ünï  {DIGEST}5  until="2027-01-15T01:00:00+01:00" """
    midnight = 1_799_971_200.0
    assert parsed(text) == [
        Key(digest(1), "show"),
        Key(digest(2), "show"),
        Key(digest(3), "talk", label="Studio 2, upstairs", until=midnight),
        Key(digest(4), "a/b", label="Mia", backup=True),
        Key(digest(5), "ünï", until=midnight),
    ]


def test_windows_wrote_it() -> None:
    assert parsed(b"\xef\xbb\xbf" + f"show {DIGEST}1\r\ntalk {DIGEST}2 label=x\r\n".encode()) == [
        Key(digest(1), "show"),
        Key(digest(2), "talk", "x"),
    ]


@pytest.mark.parametrize("text", ["", "\n", "# nobody\n", "\ufeff# nobody"])
def test_nobody_has_a_key(text: str) -> None:
    assert parsed(text) == []


NAMES = st.from_regex(r"[a-z0-9äöß_-]{1,9}(/[a-z0-9]{1,5})?", fullmatch=True)
LABELS = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters='"') | st.just(" "), max_size=20
)


@given(st.lists(st.tuples(NAMES, LABELS, st.integers(0, 2_000_000_000)), max_size=9))
def test_what_is_written_is_read(rows: list[tuple[str, str, int]]) -> None:
    wanted = [
        Key(digest(number), name, label, float(until)) for number, (name, label, until) in enumerate(rows)
    ]
    lines = [
        f'{key.name} {keys.spell_digest(key.digest)} label="{key.label}" until={spell(key.until)}\n'
        for key in wanted
    ]
    assert parsed("".join(lines)) == wanted


def spell(until: float | None) -> str:
    assert until is not None
    return datetime.fromtimestamp(until, UTC).isoformat()


# -- what is wrong with them


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("show", "is no key: write the name of the stream, a blank, and what `rtmpd key hash` says"),
        ("show m3kq8vwz5tnx2cfhj", "its second word is not sha256: and 64 hex digits; `rtmpd key hash`"),
        (f"show {DIGEST}", "its second word is not sha256: and 64 hex digits"),
        (f"sh@w {DIGEST}1", "its first word is no name of a stream, which has no blanks, quotes"),
        (f"a//b {DIGEST}1", "its first word is no name of a stream"),
        (f"{'a' * 31} {DIGEST}1", "its first word is no name of a stream"),
        (f"show {DIGEST}1 # mine", 'after the key go label="...", until=2027-01-31 and backup=true, and'),
        (f"show {DIGEST}1 backup", 'after the key go label="..."'),
        (f"show {DIGEST}1 label=Studio 2", 'after the key go label="..."'),
        (f'show {DIGEST}1 label="Studio', 'after the key go label="..."'),
        (f"show {DIGEST}1 label={'a' * 101}", "a label has at most 100 printable characters"),
        (f"show {DIGEST}1 label=\x07", "a label has at most 100 printable characters"),
        (f"show {DIGEST}1 backup=yes", "backup= is true or false"),
        (f"show {DIGEST}1 until=tomorrow", "until= is no time: write 2027-01-31 (to the end of that day"),
        (b"sh\xffow", "is not UTF-8"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_what_to_write(line: str | bytes, problem: str) -> None:
    data = line if isinstance(line, bytes) else line.encode()
    (found,) = problems(b"# one\n" + data + f"\nok {DIGEST}9\n".encode())
    assert found.startswith(f"keys:2: {problem}")


def test_no_problem_quotes_what_may_be_a_key() -> None:
    key = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
    for line in (
        key,
        f"show {key}",
        f"{key}@ {DIGEST}1",
        f"show {DIGEST}1 {key}",
        f"show {DIGEST}1 until={key}",
    ):
        assert key not in str(problems(line))


def test_the_same_key_twice_is_told_with_both_lines() -> None:
    text = f"a {DIGEST}1\n\n# again\nb {DIGEST}2\nc {DIGEST}2\na {DIGEST}1\n"
    assert problems(text) == (
        "keys:5: has the same key as line 4; leave one of the two out",
        "keys:6: has the same key as line 1; leave one of the two out",
    )


def test_of_many_mistakes_the_first_ten_are_told() -> None:
    assert len(problems("show\n" * 10_000)) == 10


@given(st.binary(max_size=300))
def test_garbage_is_a_mistake_or_nothing(data: bytes) -> None:
    with contextlib.suppress(ConfigError):
        parsed(data)


# -- while it changes


class Folder:
    """A file of keys, and how people replace one."""

    def __init__(self, root: Path) -> None:
        self.path = root / "keys"
        self._spare = root / "keys.new"

    def replace(self, *lines: str) -> None:
        """As every tool should: at once, by a rename."""
        self._spare.write_text("".join(f"{line}\n" for line in lines))
        self._spare.replace(self.path)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.replace(f"show {DIGEST}1")
    return folder


def names(ring: KeyRing) -> list[str]:
    return [key.name for key in ring]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, object]]:
    lines = [(each.levelname, each.message, vars(each)["fields"]) for each in caplog.records]
    caplog.clear()
    return lines


def opened(path: Path) -> KeyFile:
    """One that is read again within ``look``, and not beside it."""
    return KeyFile(path, MAX_NAME_BYTES, start=lambda work: work())


def test_a_change_is_in_force_with_the_next_look(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    file = opened(folder.path)
    first = file.ring
    assert names(first) == ["show"]
    folder.replace(f"show {DIGEST}1", f"talk {DIGEST}2")
    assert file.ring is first
    file.look()
    assert names(file.ring) == ["show", "talk"]
    assert told(caplog) == [("INFO", "keys read", {"file": str(folder.path), "keys": 2})]


def test_a_revoked_key_is_gone_though_the_file_is_as_long_as_before(folder: Folder) -> None:
    file = opened(folder.path)
    folder.replace(f"show {DIGEST}2")
    file.look()
    assert digest(1) not in file.ring
    assert digest(2) in file.ring


def test_a_file_that_stays_is_not_read_again(folder: Folder) -> None:
    file = opened(folder.path)
    ring = file.ring
    for _ in range(9):
        file.look()
        assert file.ring is ring


def test_it_is_read_beside_whoever_looks_once_at_a_time(folder: Folder) -> None:
    begun, ends = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> None:
        def run() -> None:
            begun.set()
            ends.wait(10.0)
            work()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    file = KeyFile(folder.path, MAX_NAME_BYTES, start)
    folder.replace(f"show {DIGEST}2")
    file.look()
    assert begun.wait(10.0)
    file.look()
    assert digest(1) in file.ring
    ends.set()
    threads[0].join()
    assert digest(2) in file.ring
    folder.replace(f"show {DIGEST}3")
    file.look()
    threads[-1].join()
    assert (digest(3) in file.ring, len(threads)) == (True, 2)


def test_a_file_system_that_does_not_answer_holds_up_nobody_who_looks(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Callable[[], None]] = []
    file = KeyFile(folder.path, MAX_NAME_BYTES, started.append)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", lambda *_, **__: pytest.fail("it waits for the file system"))
        for _ in range(3):
            file.look()
    assert len(started) == 1


def test_others_have_a_turn_while_ten_thousand_keys_are_read(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.replace(*(f"show{number} sha256:{number:064x}" for number in range(10_000)))
    pauses: list[float] = []
    monkeypatch.setattr(key_file.time, "sleep", pauses.append)
    assert len(KeyFile(folder.path, MAX_NAME_BYTES).ring) == 10_000
    # A hundred lines are half a millisecond.
    assert len(pauses) >= 100
    assert 0.0 < sum(pauses) < 0.02


def test_there_is_no_thread_left_and_later_there_is(folder: Folder) -> None:
    tries = 0

    def start(work: Callable[[], None]) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("can't start new thread")
        work()

    file = KeyFile(folder.path, MAX_NAME_BYTES, start)
    folder.replace(f"show {DIGEST}2")
    file.look()
    assert digest(1) in file.ring
    file.look()
    assert digest(2) in file.ring


def test_a_bug_in_reading_is_ours_and_keeps_the_keys(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = opened(folder.path)
    folder.replace(f"show {DIGEST}2")
    monkeypatch.setattr(key_file, "parse", lambda *_: 1 / 0)
    file.look()
    assert digest(1) in file.ring
    (line,) = caplog.records
    assert (line.message, line.exc_info is not None) == ("reading keys failed", True)


def test_a_mistake_keeps_the_keys_and_is_told_once(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    file = opened(folder.path)
    folder.replace(f"show {DIGEST}2", "talk")
    file.look()
    assert digest(1) in file.ring
    problem = (
        f"{folder.path}:2: is no key: write the name of the stream, a blank, and what `rtmpd key hash` says"
    )
    assert file.problem == problem
    fields = {"file": str(folder.path), "keys": 1, "problem": problem}
    assert told(caplog) == [("WARNING", "keys kept as they were", fields)]
    file.look()
    assert digest(1) in file.ring
    assert told(caplog) == []
    folder.replace(f"show {DIGEST}2")
    file.look()
    assert digest(2) in file.ring
    assert file.problem == ""
    assert told(caplog) == [("INFO", "keys read", {"file": str(folder.path), "keys": 1})]


def test_a_folder_that_is_gone_for_a_moment_changes_nothing(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    file = opened(folder.path)
    home = folder.path.parent
    away = home.rename(home.with_name("away"))
    for _ in range(2):
        file.look()
        assert names(file.ring) == ["show"]
    assert file.problem == f"{folder.path}: cannot be read: No such file or directory"
    assert [message for _, message, _ in told(caplog)] == ["keys kept as they were"]
    away.rename(home)
    file.look()
    assert names(file.ring) == ["show"]
    assert file.problem == ""


def test_kubernetes_swaps_a_link_to_the_folder(tmp_path: Path) -> None:
    """A mounted secret is keys -> ..data/keys, and ..data a link that is replaced."""
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "keys").write_text(f"show {DIGEST}{number}\n")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "keys").symlink_to("..data/keys")
    file = opened(tmp_path / "keys")
    assert digest(1) in file.ring
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    file.look()
    assert digest(2) in file.ring


def test_a_file_that_somebody_is_writing_to_is_read_once_more(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse_while_it_grows(lines: Iterable[bytes], place: str, max_name_bytes: int) -> KeyRing:
        monkeypatch.undo()
        ring = parse(lines, place, max_name_bytes)
        with folder.path.open("a") as writer:
            writer.write(f"talk {DIGEST}2\n")
        return ring

    monkeypatch.setattr(key_file, "parse", parse_while_it_grows)
    file = opened(folder.path)
    assert names(file.ring) == ["show"]
    file.look()
    assert names(file.ring) == ["show", "talk"]


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "endless", "huge"])
def test_what_cannot_be_a_file_of_keys_ends_the_start(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "keys"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "endless":
            path.symlink_to("/dev/zero")
        case "huge":
            path.touch()
            os.truncate(path, key_file.MAX_BYTES + 1)
    with pytest.raises(ConfigError) as caught:
        KeyFile(path, MAX_NAME_BYTES)
    assert str(caught.value) == {
        "missing": f"{path}: cannot be read: No such file or directory",
        "folder": f"{path}: cannot be read: Is a directory",
    }.get(kind, f"{path}: is no file of at most 16 MiB")


def test_a_mistake_at_the_start_ends_it(folder: Folder) -> None:
    folder.replace("show")
    with pytest.raises(ConfigError, match=r"keys:1: is no key"):
        KeyFile(folder.path, MAX_NAME_BYTES)
