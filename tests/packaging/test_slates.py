"""What viewers by HLS are shown while an encoder sends nothing: what all other players are."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_kit import FULL_HD, KEY
from packaging_kit import packages_of, rendition_of, told
from slate_kit import Theatre, read_slate, slate_bytes

from rtmpd.packaging.packages import Packages
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.rules import HlsRules

OTHER = FULL_HD[:-1] + b"\x01"


@pytest.fixture
def theatre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theatre:
    monkeypatch.setattr("slate_kit.AVC_HEADER", FULL_HD)
    monkeypatch.setattr("slate_kit.AVC_HEADER_2", OTHER)
    made = Theatre(read_slate(tmp_path, slate_bytes()))
    made.claim()
    return made


def main(theatre: Theatre, packages: Packages) -> Rendition:
    package = packages.find(KEY, theatre.loop.now)
    assert package is not None
    return rendition_of(package, "main")


def test_a_slate_is_shown_behind_a_discontinuity_and_the_encoder_behind_another(theatre: Theatre) -> None:
    packages = packages_of(theatre.house, lambda: HlsRules(segment=1.0, window=60.0))
    theatre.run(100)
    rendition = main(theatre, packages)
    theatre.lose()
    theatre.run(150)
    playlist = told(main(theatre, packages))
    assert len(playlist.tags("DISCONTINUITY")) == 1
    assert sum(playlist.durations) > 6.5
    theatre.base += 10_000_000
    theatre.claim()
    theatre.run(150)
    assert main(theatre, packages) is rendition
    playlist = told(rendition)
    assert len(playlist.tags("DISCONTINUITY")) == 2
    assert not playlist.tags("ENDLIST")
    # As long as the clock says, from the key frame on at 2 seconds, but for the segment that is open.
    assert sum(playlist.durations) == pytest.approx(theatre.loop.now - theatre.began - 3.0, abs=1.1)
    dates = playlist.tags("PROGRAM-DATE-TIME")
    assert dates == sorted(dates)


def test_an_encoder_that_is_silent_for_a_moment_breaks_nothing(theatre: Theatre) -> None:
    packages = packages_of(theatre.house, lambda: HlsRules(segment=1.0, window=60.0))
    theatre.run(100)
    rendition = main(theatre, packages)
    theatre.sends = False
    theatre.run(25)
    theatre.sends = True
    theatre.run(100)
    assert not told(rendition).tags("DISCONTINUITY")
    assert packages.stats.gaps == 1
