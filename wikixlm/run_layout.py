"""Paths inside a run, and the order of its stages."""
