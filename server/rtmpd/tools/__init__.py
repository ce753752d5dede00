"""What the commands do: publish, play, probe, and the crowds of ``rtmpd bench``."""
