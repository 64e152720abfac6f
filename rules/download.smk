"""Wikimedia's dumps.

Needs: dumps.contact; nothing for languages in dumps.local or corpora.local.
Makes: dumps/{lang}/: the dump as downloaded, resolved.yaml (its date), manifest.json.
"""


localrules:
    download,
    download_dump,


rule download_dump:
    """One language's dump, resumable and verified; a break leaves a half that the next call finishes."""
    output:
        "dumps/{lang}/manifest.json",
    log:
        "logs/download/{lang}.log",
    benchmark:
        "logs/benchmarks/download/{lang}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        wikimedia_connections=1,
        # As resources these never trigger a rerun.
        mirrors=" ".join(cfg.dumps.mirrors),
        contact=cfg.dumps.contact,
    params:
        date=cfg.dumps.date,
        layout=cfg.dumps.layout,
    shell:
        "wikixlm download --log {log:q} --language {wildcards.lang} --mirrors {resources.mirrors}"
        " --date {params.date} --layout {params.layout} --contact {resources.contact:q} --output {output:q}"


rule download:
    """Target: every dump that is not on disk already."""
    input:
        expand("dumps/{lang}/manifest.json", lang=cfg.downloaded()),
