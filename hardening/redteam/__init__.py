"""Attacks on a policy: each is run against the bare app and against the hardened one, and reported as claims."""
