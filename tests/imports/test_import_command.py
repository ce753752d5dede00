"""The command: what it writes where, what it says, and files that nobody should believe."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtmpd.daemon import cli, import_files
from rtmpd.exceptions import ConfigError

LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdef", "bcdefg", strict=True)
)
SMALL = "rtmp { server { listen 1935; application live { live on; %s } } }"


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli.app, ["import", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    file = tmp_path / "nginx.conf"
    file.write_text(SMALL % "")
    return file


def test_a_file_is_written_for_nobody_else_and_never_over_one(conf: Path, tmp_path: Path) -> None:
    made = tmp_path / "rtmpd.toml"
    code, out, _ = run("nginx-rtmp", conf, "-o", made)
    assert (code, out) == (0, "")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    before = made.read_text()
    code, _, told = run("nginx-rtmp", conf, "-o", made)
    assert code == 78
    assert told == f"rtmpd: {made}: File exists; name another file\n"
    assert made.read_text() == before


def test_what_was_not_mapped_is_an_exit_code_of_its_own_and_the_rest_is_written(conf: Path) -> None:
    conf.write_text(SMALL % "strange on; exec_static x;")
    code, out, told = run("nginx-rtmp", conf)
    assert code == 3
    assert 'listen = [":1935"]' in out
    assert told.splitlines()[-1] == (
        "rtmpd: 2 directives were not mapped; docs/migrate-from-nginx-rtmp.md says more"
    )


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    code, out, told = run("srs", tmp_path / "none.conf")
    assert (code, out, told) == (78, "", f"rtmpd: {tmp_path}/none.conf: No such file or directory\n")


@pytest.mark.parametrize(
    ("module", "server"), [("crossplane", "nginx-rtmp"), ("crossplane", "srs"), ("yaml", "mediamtx")]
)
def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, conf: Path, module: str, server: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("rtmpd.imports.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    code, _, told = run(server, conf)
    assert (code, told) == (78, f'rtmpd: {module} is not installed: pip install "rtmpd[import]"\n')


def test_what_is_included_is_read_where_nginx_looks_for_it(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    for name in ("b", "a"):
        text = f"application {name} {{ live on; strange_{name} on; }}\n"
        (tmp_path / "apps" / f"{name}.conf").write_text(text)
    main = tmp_path / "nginx.conf"
    main.write_text(
        "http { include mime.types; }\nrtmp { server { include apps/*.conf;\ninclude gone.conf; } }"
    )
    code, out, told = run("nginx-rtmp", main)
    assert code == 3
    assert out.index("[apps.a.publish]") < out.index("[apps.b.publish]")
    assert "apps/a.conf:1: strange_a:" in told
    assert "nginx.conf:3: include:" in told
    assert "mime" not in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rtmp {", "expecting"),
        ("}", "unexpected"),
        ("rtmp { server { listen 1935", ""),
        ("listen 1935", "middle of a directive"),
        ("a { " * 30 + "} " * 30, "lie too deep"),
        ("a{" * 5000 + "}" * 5000, "too deep"),
        ("include nginx.conf;", "include each other"),
        ("x on;\n" * 20_001, "over 20000 directives"),
    ],
)
def test_files_of_blocks_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    code, out, told = run("nginx-rtmp", file)
    assert (code, out) == (78, "")
    assert said in told
    assert told.startswith(f"rtmpd: {file}")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "no YAML"),
        ("- a", "no settings"),
        ("", "no settings"),
        ("a: &x [*x]", "lies deeper"),
        ("a: " + "[" * 5000, "deep"),
        ("a: " + "[" * 30 + "]" * 30, "lies deeper"),
        (LAUGHS, "holds more"),
        ("a: \x07", "no YAML"),
        ("a: 1\na: 2", "a stands twice"),
        ("? [a]\n: 1", "no text"),
        ("a: &x {<<: *x}", "lies deeper"),
        ("a: b\n" * 60_000, "larger than"),
    ],
)
def test_files_of_yaml_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mediamtx.yml"
    file.write_text(text)
    code, out, told = run("mediamtx", file)
    assert (code, out) == (78, "")
    assert said in told
    assert len(told.splitlines()) == 1


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    for path in (Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match="is no file"):
            import_files.read_blocks(path, print)
    main = tmp_path / "nginx.conf"
    main.write_text(f"include /dev/zero;\n{SMALL % ''}")
    code, _, told = run("nginx-rtmp", main)
    assert code == 3
    assert "nginx.conf:1: include:" in told


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    large = tmp_path / "large.conf"
    large.write_text("#" * (import_files.MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than 1024 KiB"):
        import_files.read_blocks(large, print)


def test_signs_that_would_leave_their_line_do_not(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(SMALL % 'push "rtmp://a.example/app/x\ny=\u2028\x7f\\"[z]";', encoding="utf-8")
    code, out, _ = run("nginx-rtmp", file)
    assert code in (0, 3)
    assert "\u2028" not in out
    assert "\x7f" not in out
