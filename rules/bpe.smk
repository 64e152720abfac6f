"""Joint byte-pair encoding of all languages.

Needs: work/tokenized/ and work/split/, or frozen codes (bpe.codes_file).
Makes: monolingual_data/processed/: codes, and {train,valid,test}.{lang} with `@@ ` joints;
       work/vocabulary/{lang}.zst, each language's symbol counts;
       evaluation/segmentation.tsv: tokens per word, whole words, unknown characters.
"""


# Not worth a place in a cluster's queue.
localrules:
    segmentation,


if cfg.bpe.codes_file:

    rule learn_bpe:
        """Codes of an earlier run, checked and copied: the other languages' text stays as it is."""
        input:
            str(locate(cfg.bpe.codes_file)),
        output:
            codes="monolingual_data/processed/codes",
            counts="work/counts/learn_bpe.json",
        log:
            "logs/learn_bpe.log",
        benchmark:
            "logs/benchmarks/learn_bpe.tsv"
        conda:
            "../envs/data.yaml"
        shell:
            "wikixlm learn-bpe --log {log:q} --codes-file {input:q} --output {output.codes:q} --counts {output.counts:q}"

else:

    rule learn_bpe:
        """Codes from a sample of the training text of all languages."""
        input:
            splits=every_language("work/split/{lang}/split.json"),
            held_out=every_language("work/split/{lang}/held_out.json.zst"),
            shards=every_shard("work/tokenized/{lang}/{shard}.jsonl.zst"),
        output:
            codes="monolingual_data/processed/codes",
            counts="work/counts/learn_bpe.json",
        log:
            "logs/learn_bpe.log",
        benchmark:
            "logs/benchmarks/learn_bpe.tsv"
        conda:
            "../envs/data.yaml"
        threads: 8
        resources:
            mem_mb=lambda wildcards, attempt: 10000 * attempt,
            runtime=lambda wildcards, attempt: 720 * attempt,
        params:
            codes=cfg.bpe.codes,
            alpha=cfg.bpe.alpha,
            sample_lines=cfg.bpe.sample_lines,
            seed=cfg.bpe.seed,
        shell:
            "wikixlm learn-bpe --log {log:q} --splits {input.splits:q} --codes {params.codes} --alpha {params.alpha}"
            " --sample-lines {params.sample_lines} --seed {params.seed}"
            " --output {output.codes:q} --counts {output.counts:q}"


rule apply_bpe:
    """The training text of one shard, segmented."""
    input:
        codes="monolingual_data/processed/codes",
        shard="work/tokenized/{lang}/{shard}.jsonl.zst",
        held_out="work/split/{lang}/held_out.json.zst",
    output:
        text=kept("work/bpe/{lang}/{shard}.zst"),
        symbols=kept("work/bpe/{lang}/{shard}.symbols.zst"),
        counts="work/counts/apply_bpe/{lang}/{shard}.json",
    log:
        "logs/apply_bpe/{lang}/{shard}.log",
    benchmark:
        "logs/benchmarks/apply_bpe/{lang}/{shard}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    shell:
        "wikixlm apply-bpe --log {log:q} --codes {input.codes:q} --tokenized {input.shard:q}"
        " --held-out {input.held_out:q}"
        " --output {output.text:q} --symbols {output.symbols:q} --counts {output.counts:q}"


rule apply_bpe_held_out:
    """One held-out split, segmented."""
    input:
        codes="monolingual_data/processed/codes",
        lines="work/split/{lang}/{split}.zst",
    output:
        text="monolingual_data/processed/{split}.{lang}",
        counts="work/counts/apply_bpe/{lang}/{split}.json",
    log:
        "logs/apply_bpe/{lang}/{split}.log",
    benchmark:
        "logs/benchmarks/apply_bpe/{lang}/{split}.tsv"
    wildcard_constraints:
        split="valid|test",
    conda:
        "../envs/data.yaml"
    shell:
        "wikixlm apply-bpe --log {log:q} --codes {input.codes:q} --lines {input.lines:q}"
        " --output {output.text:q} --counts {output.counts:q}"


rule concatenate:
    """The training text of one language in one file, and its symbol counts."""
    input:
        text=shards("work/bpe/{lang}/{shard}.zst"),
        symbols=shards("work/bpe/{lang}/{shard}.symbols.zst"),
        counts=shards("work/counts/apply_bpe/{lang}/{shard}.json"),
        split="work/split/{lang}/split.json",
    output:
        text="monolingual_data/processed/train.{lang}",
        symbols="work/vocabulary/{lang}.zst",
        counts="work/counts/concatenate/{lang}.json",
    log:
        "logs/concatenate/{lang}.log",
    benchmark:
        "logs/benchmarks/concatenate/{lang}.tsv"
    conda:
        "../envs/data.yaml"
    shell:
        "wikixlm concatenate --log {log:q} --inputs {input.text:q} --input-counts {input.counts:q} --split {input.split:q}"
        " --symbols {input.symbols:q} --output {output.text:q} --output-symbols {output.symbols:q}"
        " --counts {output.counts:q}"


rule segmentation:
    """How each language's text splits into symbols."""
    input:
        train=every_language("work/counts/concatenate/{lang}.json"),
        valid=every_language("work/counts/apply_bpe/{lang}/valid.json"),
        test=every_language("work/counts/apply_bpe/{lang}/test.json"),
    output:
        "evaluation/segmentation.tsv",
    log:
        "logs/segmentation.log",
    conda:
        "../envs/data.yaml"
    params:
        languages=cfg.languages,
    shell:
        "wikixlm segmentation --log {log:q} --languages {params.languages} --train {input.train:q}"
        " --valid {input.valid:q} --test {input.test:q} --output {output:q}"
