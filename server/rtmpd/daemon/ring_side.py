"""The last seconds of streams, once the settings want them kept: clips, pictures, and who goes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.serving.rewinding import Moment

if TYPE_CHECKING:
    from rtmpd.outputs.clips import Clips
    from rtmpd.outputs.kept import KeptLimits
    from rtmpd.outputs.rewinds import Rewinds
    from rtmpd.outputs.rings import Rings
    from rtmpd.outputs.showing import Handle


class RingSide:
    """Rings, by the settings of now. A server without any observes no stream, and imports nothing."""

    def __init__(
        self,
        registry: Registry,
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Handle],
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._call_later = call_later
        self._config = Config()
        self._folder = ""
        """Where goes what does not fit into memory."""
        self.rings: Rings | None = None
        """None as long as no setting wants any."""
        self.rewinds: Rewinds | None = None
        """None as long as nobody has gone back."""
        self._clips: Clips | None = None

    @property
    def clips(self) -> Clips:
        """Made when somebody first asks for one."""
        if self._clips is None:
            from rtmpd.outputs.clips import Clips

            self._clips = Clips(self._registry, lambda: self.rings, self._clock)
        return self._clips

    def apply(self, config: Config) -> None:
        """Follow other settings, in the running event loop."""
        self._config, self._folder = config, config.spool.path
        if self.rings is None and any(app.ring.seconds for app in config.outcomes.values()):
            from rtmpd.outputs.rings import Rings

            self.rings = Rings(self._registry, self._limits_of, self._clock)
            self._registry.observe(self.rings)
        if self.rings is not None:
            self.rings.apply(self._folder)

    def find(self, key: StreamKey, moment: Moment) -> int:
        """The audience of who begins there; see ``serving.rewinding.Past``."""
        if self.rings is None:
            return 0
        if self.rewinds is None:
            from rtmpd.outputs.rewinds import Rewinds

            self.rewinds = Rewinds(self._registry, self.rings, self._clock, self._call_later)
        if moment.ago is None:
            return self.rewinds.at(key, moment.time)
        return self.rewinds.back(key, moment.ago)

    def look(self) -> None:
        """Call it about once a second."""
        if self.rings is not None:
            self.rings.look()
        if self._clips is not None:
            self._clips.pictures.look()

    def close(self) -> None:
        """Keep nothing, and make nothing more."""
        if self.rewinds is not None:
            self.rewinds.close()
        if self.rings is not None:
            self.rings.close()
        if self._clips is not None:
            self._clips.close()

    def _limits_of(self, key: StreamKey) -> KeptLimits | None:
        from rtmpd.outputs.kept import KeptLimits

        app = self._config.at(str(key))
        ring, seconds = app.ring, app.ring.seconds
        if not seconds:
            return None
        if ring.rewind:
            from rtmpd.outputs.rewinds import SPARE

            seconds += SPARE + app.delay
        return KeptLimits(seconds, ring.memory_bytes, ring.disk_bytes)
