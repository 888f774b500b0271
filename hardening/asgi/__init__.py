"""The edge: the only coroutines, the only timer, the only input and output of a request's way."""
