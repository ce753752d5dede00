from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from shelf_kit import recording

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.outputs.afterwork_rules import Credentials, UploadRules, check_key, object_key

ROOT = Path("/rec")


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("{app}/{name}/{filename}", "live/show/a.b.mp4"),
        ("/{file}", "2026/a.b.mp4"),
        ("x-{basename}.{extension}", "x-a.b.mp4"),
        ("{start:%Y-%m-%d}/{part}/{start}", "2023-11-14/1/2023-11-14_22-12-20"),
    ],
)
def test_fills_in_what_the_file_is(template: str, key: str) -> None:
    check_key(template)
    assert object_key(template, recording(ROOT / "2026" / "a.b.mp4", ROOT)) == key


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("", "it is empty"),
        ("/", "it is empty"),
        ("{stream}/{filename}", "{stream} is not known: {app}, {name}"),
        ("{app:x}/{filename}", "{app} takes no format"),
        ("{filename}}", "a brace in it belongs to no placeholder"),
        ("{app}/{name}.mp4", "every file would have the same key"),
    ],
)
def test_says_what_is_wrong_with_a_template(template: str, problem: str) -> None:
    with pytest.raises(UsageError) as error:
        check_key(template)
    assert problem in str(error.value)


def test_a_key_that_no_bucket_takes_is_refused_and_odd_bytes_are_replaced() -> None:
    file = recording(ROOT / "a.mp4", ROOT)
    with pytest.raises(UsageError, match="1024 bytes"):
        object_key("{name}{filename}", replace(file, key=StreamKey("live", "x" * 1024)))
    assert object_key("{filename}", recording(ROOT / "\udcff.mp4", ROOT)) == "?.mp4"


def test_secrets_are_not_shown() -> None:
    rules = UploadRules("bucket", credentials=Credentials("id", "hidden-secret", "hidden-token"))
    assert "hidden" not in repr(rules)
