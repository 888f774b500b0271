"""Many clients on several workers that share a store: what was used against what was counted."""
