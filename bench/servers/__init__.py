"""Real model servers before and after: every door, every switch of a request, whatever leaves."""
