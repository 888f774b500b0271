"""What is told of requests by measuring them: tokens, features, signals, risk."""
