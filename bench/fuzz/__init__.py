"""Bodies that no server has written yet, through whole exchanges, until the time is up."""
