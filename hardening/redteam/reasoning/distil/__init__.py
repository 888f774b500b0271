"""A real distillation: a teacher behind an API, a thief, and students of what he read; `experiment` needs PyTorch."""
