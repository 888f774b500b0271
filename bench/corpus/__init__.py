"""Recorded answers of model servers, sent through the policies and checked for what must not leave."""
