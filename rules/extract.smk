"""Text of the pages, in independent shards.

Needs: a downloaded dump (dumps/{lang}/manifest.json), a local one (dumps.local) or plain text (corpora.local).
Makes: work/templates/{lang}.json, the templates of a dump that carry text (extract.templates_from_dump), and
       work/extracted/{lang}/{shard}.jsonl.zst, temporary, and its counts of pages, documents and lines.
"""


rule collect_templates:
    """The templates that only pass their values on, which any shard of the dump may call."""
    input:
        dump=lambda wildcards: sources(wildcards.lang),
    output:
        layout.TEMPLATES,
    log:
        "logs/collect_templates/{lang}.log",
    benchmark:
        "logs/benchmarks/collect_templates/{lang}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 4
    resources:
        mem_mb=memory("collect_templates", workers=4),
        runtime=minutes("collect_templates", workers=4, size=dump_mb),
    params:
        source=source_flag,
    message:
        "Collect the templates of {wildcards.lang}"
    shell:
        "wikixlm collect-templates"
        " --log {log:q}"
        " {params.source} {input.dump:q}"
        " --language {wildcards.lang}"
        " --workers {threads}"
        " --output {output:q}"


rule extract:
    """One shard of a dump: the bz2 streams that start in its range of bytes."""
    input:
        dump=lambda wildcards: sources(wildcards.lang),
        templates=rules.collect_templates.output if cfg.extract.templates_from_dump else [],
    output:
        shard=kept(layout.EXTRACTED),
        counts=layout.EXTRACT_COUNTS,
    log:
        "logs/extract/{lang}/{shard}.log",
    benchmark:
        "logs/benchmarks/extract/{lang}/{shard}.tsv"
    wildcard_constraints:
        lang=one_of(lang for lang in cfg.languages if lang not in cfg.corpora.local),
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=memory("extract", size=shard_mb),
        runtime=minutes("extract", size=shard_mb),
    params:
        source=source_flag,
        position=position,
        namespaces=lambda wildcards: cfg.namespaces(wildcards.lang),
        min_chars=cfg.extract.min_chars,
        lists=cfg.extract.lists,
        headings=cfg.extract.headings,
        variant=lambda wildcards: cfg.variant_flag(wildcards.lang),
        inline_templates=lambda wildcards: [
            f"--inline-template={name}={text}" for name, text in cfg.inline_templates(wildcards.lang).items()
        ],
        templates="--templates" if cfg.extract.templates_from_dump else "",
        stall_seconds=cfg.extract.stall_seconds,
    message:
        "Extract the text of {wildcards.lang}, shard {wildcards.shard}"
    shell:
        "wikixlm extract"
        " --log {log:q}"
        " {params.source} {input.dump:q}"
        " --language {wildcards.lang}"
        " {params.position}"
        " --namespaces {params.namespaces}"
        " --min-chars {params.min_chars}"
        " --lists {params.lists}"
        " --headings {params.headings}"
        " {params.variant}"
        " {params.inline_templates:q}"
        " {params.templates} {input.templates:q}"
        " --stall-seconds {params.stall_seconds}"
        " --output {output.shard:q}"
        " --counts {output.counts:q}"


rule corpus:
    """One shard of a language's own plain-text files."""
    input:
        text=lambda wildcards: sources(wildcards.lang),
    output:
        shard=kept(layout.EXTRACTED),
        counts=layout.EXTRACT_COUNTS,
    log:
        "logs/extract/{lang}/{shard}.log",
    benchmark:
        "logs/benchmarks/extract/{lang}/{shard}.tsv"
    wildcard_constraints:
        lang=one_of(lang for lang in cfg.languages if lang in cfg.corpora.local),
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=memory("corpus", size=shard_mb),
        runtime=minutes("corpus", size=shard_mb),
    params:
        position=position,
    message:
        "Read your own text of {wildcards.lang}, shard {wildcards.shard}"
    shell:
        "wikixlm corpus"
        " --log {log:q}"
        " --text {input.text:q}"
        " --language {wildcards.lang}"
        " {params.position}"
        " --output {output.shard:q}"
        " --counts {output.counts:q}"
