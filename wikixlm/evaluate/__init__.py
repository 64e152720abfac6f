"""Scoring masked language models: what is scored, on which text, and the figures that come out."""
