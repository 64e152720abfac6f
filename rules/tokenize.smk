"""Tokens, and the choice of held-out articles.

Needs: work/extracted/{lang}/{shard}.jsonl.zst.
Makes: work/tokenized/{lang}/{shard}.jsonl.zst, kept, so that a new language never redoes the others';
       work/split/{lang}/: the lines of valid and test, what training leaves out, and the counts.
"""


rule tokenize:
    """One shard, token for token as transformers' XLMTokenizer would."""
    input:
        shard="work/extracted/{lang}/{shard}.jsonl.zst",
    output:
        shard="work/tokenized/{lang}/{shard}.jsonl.zst",
        counts="work/counts/tokenize/{lang}/{shard}.json",
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
        lowercase="" if cfg.tokenize.lowercase_and_remove_accent else "no-",
        japanese=lambda wildcards: (cfg.tokenize.japanese if wildcards.lang == "ja" else "kytea"),
    shell:
        "wikixlm tokenize --log {log:q} --input {input.shard:q} --language {wildcards.lang}"
        " --{params.lowercase}lowercase-and-remove-accent --japanese {params.japanese}"
        " --output {output.shard:q} --counts {output.counts:q}"


rule split:
    """Whole articles to test and valid, in the order of a seeded hash; the rest is for training."""
    input:
        shards=shards("work/tokenized/{lang}/{shard}.jsonl.zst"),
        extracted=shards("work/counts/extract/{lang}/{shard}.json"),
        tokenized=shards("work/counts/tokenize/{lang}/{shard}.json"),
    output:
        valid="work/split/{lang}/valid.zst",
        test="work/split/{lang}/test.zst",
        held_out="work/split/{lang}/held_out.json.zst",
        split="work/split/{lang}/split.json",
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
    shell:
        "wikixlm split --log {log:q} --tokenized {input.shards:q} --extract-counts {input.extracted:q}"
        " --tokenize-counts {input.tokenized:q}"
        " --language {wildcards.lang} --valid {params.valid} --test {params.test} --seed {params.seed}"
        " --output-valid {output.valid:q} --output-test {output.test:q}"
        " --held-out {output.held_out:q} --output {output.split:q}"
