"""Tokens, and the choice of held-out articles.

Needs: work/extracted/{lang}/{shard}.jsonl.zst.
Makes: work/tokenized/{lang}/{shard}.jsonl.zst, kept, so that a new language never redoes the others';
       work/split/{lang}/: the lines of valid and test, what training leaves out, and the counts.
"""


rule tokenize:
    """One shard: words as transformers' XLMTokenizer has them, or normalized text for pieces."""
    input:
        shard=layout.EXTRACTED,
    output:
        shard=layout.TOKENIZED,
        counts=layout.TOKENIZE_COUNTS,
    log:
        "logs/tokenize/{lang}/{shard}.log",
    benchmark:
        "logs/benchmarks/tokenize/{lang}/{shard}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=memory("tokenize"),
        runtime=minutes("tokenize"),
    params:
        how=lambda wildcards: cfg.tokenize.flags(wildcards.lang),
    message:
        "Tokenize {wildcards.lang}, shard {wildcards.shard}"
    shell:
        "wikixlm tokenize"
        " --log {log:q}"
        " --input {input.shard:q}"
        " --language {wildcards.lang}"
        " {params.how}"
        " --output {output.shard:q}"
        " --counts {output.counts:q}"


rule split:
    """Whole articles to test and valid, in the order of a seeded hash; the rest is for training."""
    input:
        shards=shards(rules.tokenize.output.shard),
        extracted=shards(layout.EXTRACT_COUNTS),
        tokenized=shards(layout.TOKENIZE_COUNTS),
    output:
        valid=layout.of_split(layout.HELD_OUT_LINES, "valid"),
        test=layout.of_split(layout.HELD_OUT_LINES, "test"),
        held_out=layout.HELD_OUT_HASHES,
        split=layout.SPLIT_COUNTS,
    log:
        "logs/split/{lang}.log",
    benchmark:
        "logs/benchmarks/split/{lang}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=memory("split"),
        runtime=minutes("split"),
    params:
        valid=lambda wildcards: cfg.held_out_lines(wildcards.lang)[0],
        test=lambda wildcards: cfg.held_out_lines(wildcards.lang)[1],
        seed=cfg.split.seed,
        deduplicate="" if cfg.split.deduplicate else "no-",
    message:
        "Split {wildcards.lang} into train, valid and test"
    shell:
        "wikixlm split"
        " --log {log:q}"
        " --tokenized {input.shards:q}"
        " --extract-counts {input.extracted:q}"
        " --tokenize-counts {input.tokenized:q}"
        " --language {wildcards.lang}"
        " --valid {params.valid}"
        " --test {params.test}"
        " --seed {params.seed}"
        " --{params.deduplicate}deduplicate"
        " --output-valid {output.valid:q}"
        " --output-test {output.test:q}"
        " --held-out {output.held_out:q}"
        " --output {output.split:q}"
