"""The report of a run: one HTML page to look at, and its figures as tab-separated tables beside it.

`run` finds what a run directory holds, `text`, `model`, `setup` and `cost` make tables of it, `figures` draws them,
`answers` says the four things that a reader wants first, and `page` puts everything into one file.
"""
