"""Fetches what others have made and rtmpd hands on to browsers, at the versions and with the hashes below.

    make vendor

It is kept in the repository, so that nothing is fetched where rtmpd is built or runs. Needs npm.
"""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).with_name("server") / "rtmpd" / "player" / "vendor"


class Package(NamedTuple):
    """One of npm."""

    name: str
    version: str
    integrity: str
    """Of the archive, as npm has it."""
    files: dict[str, str]
    """Where in the archive each of our files is."""


PACKAGES: Final = (
    # hls.light knows no audio renditions and no captions, of which streams have several.
    Package(
        "hls.js",
        "1.7.4",
        "sha512-3GlxGdPvT2YHvQYOt+yOzT/DEior/qJVNIylHA77kgeoBTdQQqi70GwefNEUmHQeNGyjC8U62+bruqW/Tpm+tg==",
        {"hls.min.mjs": "package/dist/hls.min.mjs", "hls.LICENSE": "package/LICENSE"},
    ),
)


def fetch(package: Package) -> dict[str, bytes]:
    """Our files by their names. Raises ValueError where the archive is another one."""
    with tempfile.TemporaryDirectory() as folder:
        what = f"{package.name}@{package.version}"
        subprocess.run(["npm", "pack", "--silent", what], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        data = next(Path(folder).glob("*.tgz")).read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != package.integrity:
        raise ValueError(f"{what} is {found} and not {package.integrity}")
    files = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for name, member in package.files.items():
            file = archive.extractfile(member)
            if file is None:
                raise ValueError(f"{what} has no {member}")
            files[name] = file.read()
    return files


def main() -> None:
    for package in PACKAGES:
        for name, body in fetch(package).items():
            (FOLDER / name).write_bytes(body)
            sys.stdout.write(f"{name} {package.version} {hashlib.sha256(body).hexdigest()}\n")


if __name__ == "__main__":
    main()
