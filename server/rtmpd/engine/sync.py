"""Whether a sink can decode the next frame of video, after what it has been sent and what it has missed."""

from __future__ import annotations

from rtmpd.engine.congestion import Congestion
from rtmpd.engine.drops import DropReason
from rtmpd.engine.intake import NO_TRACKS, Intake
from rtmpd.engine.packet import ASIDE, TRACKED, Packet, track_id
from rtmpd.engine.sink import StartPolicy
from rtmpd.media.tags import CODED_FRAME, DISPOSABLE, END_OF_SEQUENCE, KEYFRAME
from rtmpd.media.tracks import ALL_TRACKS


class VideoSync:
    """Where a sink stands in the video: after a gap it goes on with a keyframe.

    Of all tracks the default one goes on first, and each other with its own next keyframe.
    """

    __slots__ = ("_begun", "_every_track", "_fell_behind", "_waiting_since", "start", "synced")

    def __init__(self, start: StartPolicy, video_track: int) -> None:
        self.start = start
        """Where it begins; who begins ``LIVE`` never waits for a keyframe."""
        self.synced = False
        """Has had a keyframe and all video since, of every track that it is sent: any frame may follow."""
        self._every_track = video_track == ALL_TRACKS
        self._begun = NO_TRACKS
        """Not synced, and sent all tracks: those that have gone on."""
        self._fell_behind = False
        """Lost sync because it was too slow, and not because it joined or paused."""
        self._waiting_since: float | None = None
        """When the first frame came that it could have had but for want of a keyframe."""

    def open(self, synced: bool, begun: frozenset[int]) -> None:
        """What its opening leaves: any frame may follow, or any of some tracks."""
        self.synced = synced
        self._begun = begun

    def lose(self) -> None:
        """It misses video from here on."""
        self.synced = False
        self._begun = NO_TRACKS

    def admit(
        self, packet: Packet, intake: Intake, congestion: Congestion | None, room: int, now: float
    ) -> DropReason | None:
        """Why a video packet that is no header may not be sent; None if it may, and then it has to be.

        ``intake`` is that of the publication on air.
        """
        flags = packet.flags
        fits = len(packet.payload) <= room
        if not self.synced and track_id(packet) not in self._begun:
            ready = fits and (congestion is None or congestion.may_resume)
            if not self._may_begin(flags, intake, now, ready=ready):
                return DropReason.SLOW_VIDEO if self._fell_behind else DropReason.WAITING_KEYFRAME
            self._begin(packet, intake)
            return None
        if congestion is None or flags & END_OF_SEQUENCE:
            return None
        if congestion.past or not fits:
            self.lose()
            self._fell_behind = True
            congestion.fall_behind(now)
            return DropReason.SLOW_VIDEO
        if flags & DISPOSABLE and congestion.strained:
            return DropReason.SLOW_DISPOSABLE
        return None

    def _may_begin(self, flags: int, intake: Intake, now: float, *, ready: bool) -> bool:
        """Whether a track may go on with this frame; ``ready`` is who is not too far behind for it."""
        # Who is sent only another track than the default one is not shown the default one's keyframes.
        early = flags & ASIDE and self._every_track and not self._begun
        if not ready:
            self._fell_behind = self._fell_behind or (flags & KEYFRAME != 0 and not early)
            return False
        if early or not flags & (CODED_FRAME | KEYFRAME):
            return False
        if flags & KEYFRAME or self.start is StartPolicy.LIVE:
            return True
        if self._waiting_since is None:
            self._waiting_since = now
        return intake.has_waited(self._waiting_since, now)

    def _begin(self, packet: Packet, intake: Intake) -> None:
        if self._every_track and packet.flags & TRACKED:
            self._begun |= {track_id(packet)}
            if not intake.open_tracks <= self._begun:
                return
        self.synced = True
        self._begun = NO_TRACKS
        self._fell_behind = False
        self._waiting_since = None
