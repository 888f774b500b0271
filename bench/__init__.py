"""What hardening costs, and what it lets out of recordings: measured, printed, written as JSON."""
