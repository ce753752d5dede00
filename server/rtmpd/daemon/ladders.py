"""The ladder of an app as it is for one OBS, asking or imagined."""

from __future__ import annotations

from collections.abc import Mapping

from rtmpd.daemon.config import Config
from rtmpd.daemon.ladder_config import ObsConfig, RungConfig
from rtmpd.multitrack.answer import Plan, override
from rtmpd.multitrack.encoders import family_of
from rtmpd.multitrack.fitting import fit
from rtmpd.multitrack.imagined import imagine, named_family
from rtmpd.multitrack.question import Question


def plan_for(
    obs: ObsConfig, rungs: tuple[RungConfig, ...], question: Question, fields: Mapping[str, str]
) -> Plan:
    """What of the ladder ``question`` gets, by the encoders that ``fields`` name if they do.

    Raises ValueError with a sentence.
    """
    ladder = obs.to_ladder(rungs)
    family = named_family(fields) or family_of(question)
    return Plan(ladder, family, fit(ladder, question, family), question.channels, question.vod)


def written_override(config: Config, path: str, fields: Mapping[str, str]) -> str:
    """What is pasted into an OBS of which ``fields`` say what is known. Raises ValueError with a sentence."""
    held = config.at(path)
    if not held.ladder:
        raise ValueError(f"there is no ladder for {path}: [[apps.{path}.ladder]] makes one")
    return override(plan_for(held.obs, held.ladder, imagine(fields), fields))
