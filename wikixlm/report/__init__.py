"""The report of a run: one HTML page, and its figures as tab-separated tables beside it.

`run_files` finds what a run directory holds, `text_tables` and `run_tables` make tables of it, `figures` draws them,
`answers` has the four answers that a reader wants first, `sections` what each part says, and `page` the whole.
"""
