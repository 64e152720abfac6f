"""Downloading from Wikimedia: politely, resumably, verified.

languages.py says which wiki, resolver.py which run of its dumps and which files, resolved.py remembers that;
client.py makes single requests, through one of the slots of slots.py; transfer.py brings one file home over any
number of breaks, with partial.py, the file on its way; fetch.py is the stage, plan.py the command `wikixlm dumps`,
xnli.py the stage for the archives of XNLI.
"""
