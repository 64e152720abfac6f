"""The configuration: one typed model that validates `config.yaml` and its overlays.

`config.yaml` beside the Snakefile is always the base, and holds the defaults; overlays (`--configfile`, `--config`) are
merged on top. Every problem is one line that names the key.
"""

from wikixlm.config.loading import (
    BASE_CONFIG,
    ConfigError,
    load,
    load_overlays,
    merge,
    parse_train_settings,
    read_defaults,
)
from wikixlm.config.model import OPERATIONAL, Config

__all__ = [
    "BASE_CONFIG",
    "OPERATIONAL",
    "Config",
    "ConfigError",
    "load",
    "load_overlays",
    "merge",
    "parse_train_settings",
    "read_defaults",
]
