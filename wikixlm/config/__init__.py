"""The configuration: one typed model that validates `config.yaml` and its overlays.

`config.yaml` beside the Snakefile is always the base, and holds the defaults; overlays (`--configfile`, `--config`) are
merged on top. Every problem is reported as one line that names the key.
"""

from wikixlm.config.loading import ConfigError, load, merge, parse_train_settings, read_defaults
from wikixlm.config.model import OPERATIONAL, Config

__all__ = ["OPERATIONAL", "Config", "ConfigError", "load", "merge", "parse_train_settings", "read_defaults"]
