"""Wikimedia's dumps.

Needs: dumps.contact; nothing for languages in dumps.local or corpora.local.
Makes: dumps/{lang}/: the dump as downloaded, resolved.yaml (which one that is), manifest.json.
"""

# As resources these never trigger anything: another mirror or contact downloads nothing again.
SERVERS = {
    "mirrors": shlex.join(cfg.dumps.mirrors),
    "contact": shlex.quote(cfg.dumps.contact),
    "wikimedia_connections": 1,
}
PARTITION = {"slurm_partition": cfg.dumps.transfer_partition} if cfg.dumps.transfer_partition else {}


localrules:
    download,


rule resolve_dump:
    """Which dump a language uses: chosen once, kept until the file is deleted."""
    output:
        update("dumps/{lang}/resolved.yaml"),
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
        **PARTITION,
    params:
        date=cfg.dumps.date,
        layout=cfg.dumps.layout,
    shell:
        "wikixlm dumps --log {log:q} resolve --language {wildcards.lang} --date {params.date} --layout {params.layout}"
        " --output {output:q} --mirrors {resources.mirrors} --contact {resources.contact}"


rule download_dump:
    """The dump itself, verified; whatever breaks, the next call goes on where this one stopped."""
    input:
        "dumps/{lang}/resolved.yaml",
    output:
        "dumps/{lang}/manifest.json",
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
        **PARTITION,
        runtime=lambda wildcards, attempt: 1440 * attempt,
    shell:
        "wikixlm download --log {log:q} --language {wildcards.lang} --output {output:q}"
        " --mirrors {resources.mirrors} --contact {resources.contact}"


rule download:
    """Target: every dump that is not on disk already."""
    input:
        expand("dumps/{lang}/{file}", lang=cfg.downloaded(), file=["resolved.yaml", "manifest.json"]),
