"""Commands that nobody has options in common with: each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable


def single_command(name: str) -> Callable[..., object]:
    """The command of that name."""
    match name:
        case "init":
            from rtmpd.daemon import init_command

            return init_command.init
        case "top":
            from rtmpd.daemon import top_command

            return top_command.top
        case "token":
            from rtmpd.daemon import token_command

            return token_command.token
        case "repair":
            from rtmpd.daemon import repair_command

            return repair_command.repair
        case "clip":
            from rtmpd.daemon import clip_command

            return clip_command.clip
        case _:
            from rtmpd.daemon import report_command

            return report_command.report
