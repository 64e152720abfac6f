"""wikixlm: from Wikipedia dumps in N languages to a trained cross-lingual masked language model."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("wikixlm")
except PackageNotFoundError:  # run from a checkout on PYTHONPATH, as conda environments do
    __version__ = "0+unknown"
