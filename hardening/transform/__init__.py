"""What a Decision does to events: feed(event) gives events, flush() gives the rest."""
