"""What the settings say of finished recordings, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtmpd.daemon import afterwork_config
from rtmpd.daemon.reference import rows
from rtmpd.daemon.settings import load
from rtmpd.daemon.shelf_side import _kept, _kept_in
from rtmpd.exceptions import ConfigError
from rtmpd.outputs.retention import KeepRules

RECORD = "apps.live.record."
BUCKET = f"{RECORD}upload.bucket=rec"


def settings(*said: str):
    return load((), {}, said)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([f"{RECORD}keep.max_age=soon"], "keep.max_age: 'soon' is not a duration"),
        ([f"{RECORD}keep.max_bytes=-1"], "is not a size"),
        ([BUCKET, f"{RECORD}upload.key=x.mp4"], "upload.key: every file would have the same key"),
        ([BUCKET, f"{RECORD}upload.key={{who}}"], "upload.key: {who} is not known"),
        ([BUCKET, f"{RECORD}upload.endpoint=s3.example.com"], "write it as https://s3.example.com"),
        ([BUCKET, f"{RECORD}upload.secret_access_key=hush"], "upload.access_key_id is missing"),
        ([BUCKET, f"{RECORD}upload.access_key_id=id"], "upload.secret_access_key is missing"),
        ([BUCKET, f"{RECORD}upload.encryption_key=k"], 'is for encryption = "aws:kms" alone'),
        ([BUCKET, f"{RECORD}upload.encryption=rot13"], "upload.encryption"),
        ([BUCKET, f"{RECORD}upload.part_bytes=1MiB"], "upload.part_bytes"),
    ],
)
def test_mistakes_are_told(said: list[str], problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        settings(*said)
    assert problem in str(error.value)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("said", "is_right"),
    [
        (["name={app}/{name}_{part}", "upload.delete=true"], False),
        (["name={app}/{name}", "keep.max_files=5"], False),
        (["name={app}/{name}"], True),
        (["upload.delete=true"], True),
        (["name={app}/{name}", "upload.delete=true", "upload.key={start}.flv"], True),
        (["name={app}/{name}", "upload.delete=true", "mp4.enabled=true", "mp4.keep_flv=true"], True),
    ],
)
def test_no_object_takes_the_place_of_an_older_one(said: list[str], is_right: bool) -> None:
    asked = BUCKET, *(f"{RECORD}{each}" for each in said)
    if is_right:
        settings(*asked)
    else:
        with pytest.raises(ConfigError, match="would take its place in the bucket"):
            settings(*asked)


@pytest.mark.parametrize(
    ("said", "module", "problem"),
    [
        (f"{RECORD}mp4.enabled=true", "av", "mp4.enabled = true needs PyAV, which is not installed"),
        (BUCKET, "aiobotocore", "upload.bucket needs aiobotocore, which is not installed"),
    ],
)
def test_what_is_not_installed_is_told(
    said: str, module: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(afterwork_config, "find_spec", lambda name: None if name == module else object())
    with pytest.raises(ConfigError) as error:
        settings(said)
    assert problem in str(error.value)
    assert "pip install 'rtmpd[" in str(error.value)


def test_secrets_come_from_files_and_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush-hush\n")
    file = f"{RECORD}upload.secret_access_key_file={tmp_path / 'secret'}"
    read = settings(
        BUCKET, f"{RECORD}upload.access_key_id=id", file, f"{RECORD}upload.session_token=hush-too"
    )
    rules = read.config.at("live").record.to_afterwork().upload
    assert rules is not None
    assert (rules.credentials.secret_access_key, rules.credentials.session_token) == ("hush-hush", "hush-too")
    assert "hush" not in f"{rules}{list(rows(read))}"


def test_each_table_keeps_its_own_and_what_is_unknown_is_kept_longest() -> None:
    config = settings(
        "apps.*.record.root=/rec",
        "apps.*.record.keep.max_age=30d",
        "apps.live.record.keep.max_files=10",
        "apps.live/show.record.split_after=1h",
        "apps.vod.record.keep.max_age=0",
        "apps.other.record.root=/other",
    ).config
    month = 30 * 86_400.0
    assert _kept(config, "live/show") == _kept(config, "live/cam") == KeepRules("live", month, 10, 0)
    assert _kept(config, "radio/x") == KeepRules("*", month, 0, 0)
    assert _kept(config, "vod/x").keeps_all
    assert _kept_in(config, "/rec").keeps_all
    assert _kept_in(config, "/other") == KeepRules("*", month, 0, 0)
