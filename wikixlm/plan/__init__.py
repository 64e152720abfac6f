"""The estimate before a run: how much data, disk and time it needs."""
