"""Bytes, durations, numbers and tables as people read them."""
