"""What the benchmarks of the text stages share: generated dumps, and measuring a command."""
