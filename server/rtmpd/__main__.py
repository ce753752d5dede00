"""``python -m rtmpd``: the command of that name."""

from __future__ import annotations

from rtmpd.daemon.cli import main

if __name__ == "__main__":
    main()
