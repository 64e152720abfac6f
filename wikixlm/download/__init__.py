"""Download dumps from Wikimedia or a mirror: polite, resumable, verified.

layouts.py lists a wiki's runs and their files, pinned.py records the run that a language uses, client.py makes single
requests through connection_slots.py, transfer.py downloads one file into partial.py's part file. command.py is the
stage, list_dumps.py the command `wikixlm dumps`, xnli.py the stage for XNLI's archives.
"""
