"""Who is copying: honest accounts and campaigns, told apart by the signals that ship, window by window."""
