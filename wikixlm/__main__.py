"""`python -m wikixlm …`: the same as the `wikixlm` command."""

from wikixlm.cli import main

main()
