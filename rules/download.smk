"""Wikimedia's dumps.

Needs: dumps.contact; nothing for languages in dumps.local or corpora.local.
Makes: dumps/{lang}/: the dump as downloaded, resolved.yaml (which one that is), manifest.json.
"""

PARTITION = {"slurm_partition": cfg.dumps.transfer_partition} if cfg.dumps.transfer_partition else {}
SERVERS = operational(
    mirrors=shlex.join(cfg.dumps.mirrors),
    contact=shlex.quote(cfg.dumps.contact),
    wikimedia_connections=1,
    **PARTITION,
)


localrules:
    download,


rule resolve_dump:
    """Which dump a language uses: chosen once, kept until the file is deleted."""
    input:
        refusals.must_name_contact,
    output:
        update(layout.RESOLVED),
    log:
        "logs/resolve_dump/{lang}.log",
    benchmark:
        "logs/benchmarks/resolve_dump/{lang}.tsv"
    localrule: not PARTITION
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        **SERVERS,
    params:
        date=cfg.dumps.date,
        layout=cfg.dumps.layout,
    message:
        "Choose the dump of {wildcards.lang}"
    shell:
        "wikixlm dumps"
        " --log {log:q} resolve"
        " --language {wildcards.lang}"
        " --date {params.date}"
        " --layout {params.layout}"
        " --output {output:q}"
        " --mirrors {resources.mirrors}"
        " --contact {resources.contact}"


rule download_dump:
    """The dump itself, verified; after any failure the next call resumes."""
    input:
        layout.RESOLVED,
    output:
        layout.DUMP_MANIFEST,
    log:
        "logs/download/{lang}.log",
    benchmark:
        "logs/benchmarks/download/{lang}.tsv"
    localrule: not PARTITION
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        **SERVERS,
        runtime=lambda wildcards, attempt: 1440 * attempt,
    message:
        "Download the dump of {wildcards.lang}"
    shell:
        "wikixlm download"
        " --log {log:q}"
        " --language {wildcards.lang}"
        " --output {output:q}"
        " --mirrors {resources.mirrors}"
        " --contact {resources.contact}"


rule download:
    """Target: every dump that is not on disk already."""
    input:
        expand([layout.RESOLVED, layout.DUMP_MANIFEST], lang=cfg.downloaded()),
    message:
        "Finish the downloads"
