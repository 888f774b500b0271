"""What each state store costs: time, memory, and under a flood."""
