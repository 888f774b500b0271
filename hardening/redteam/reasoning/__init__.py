"""What leaves of a reasoning trace: steps, self-talk, plans."""
