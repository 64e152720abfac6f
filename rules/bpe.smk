"""Joint byte-pair encoding of all languages, or pieces.

Needs: work/tokenized/ and work/split/, or frozen codes (bpe.codes_file).
Makes: monolingual_data/processed/: codes, and {train,valid,test}.{lang} with `@@ ` joints, or pieces with `▁` where words
       begin;
       work/vocabulary/{lang}.zst, each language's symbol counts;
       evaluation/segmentation.tsv: tokens per word, whole words, unknown characters.
"""


# Not worth a place in a cluster's queue.
localrules:
    segmentation,


if cfg.bpe.codes_file:

    rule reuse_codes:
        """Codes of an earlier run, checked and copied: the other languages' text stays as it is."""
        input:
            str(locate(cfg.bpe.codes_file)),
        output:
            codes=layout.CODES,
            counts=layout.LEARN_BPE_COUNTS,
        log:
            "logs/learn_bpe.log",
        benchmark:
            "logs/benchmarks/learn_bpe.tsv"
        conda:
            "../envs/data.yaml"
        params:
            how=cfg.bpe_flags(),
        message:
            "Reuse the codes of an earlier run"
        shell:
            "wikixlm learn-bpe"
            " --log {log:q}"
            " {params.how}"
            " --codes-file {input:q}"
            " --output {output.codes:q}"
            " --counts {output.counts:q}"

else:

    rule learn_bpe:
        """Codes from a sample of the training text of all languages."""
        input:
            splits=every_language(layout.SPLIT_COUNTS),
            held_out=every_language(layout.HELD_OUT_HASHES),
            shards=every_shard(layout.TOKENIZED),
        output:
            codes=layout.CODES,
            counts=layout.LEARN_BPE_COUNTS,
        log:
            "logs/learn_bpe.log",
        benchmark:
            "logs/benchmarks/learn_bpe.tsv"
        conda:
            "../envs/data.yaml"
        threads: 8
        resources:
            mem_mb=memory("learn_bpe"),
            runtime=minutes("learn_bpe"),
        params:
            how=cfg.bpe_flags(),
            codes=cfg.bpe.codes,
            alpha=cfg.bpe.alpha,
            sample_lines=cfg.bpe.sample_lines,
            seed=cfg.bpe.seed,
        message:
            "Learn joint codes"
        shell:
            "wikixlm learn-bpe"
            " --log {log:q}"
            " {params.how}"
            " --splits {input.splits:q}"
            " --codes {params.codes}"
            " --alpha {params.alpha}"
            " --sample-lines {params.sample_lines}"
            " --seed {params.seed}"
            " --output {output.codes:q}"
            " --counts {output.counts:q}"


rule apply_bpe:
    """The training text of one shard, segmented."""
    input:
        codes=layout.CODES,
        shard=rules.tokenize.output.shard,
        held_out=rules.split.output.held_out,
    output:
        text=kept(layout.SEGMENTED_SHARD),
        symbols=kept(layout.SHARD_SYMBOLS),
        counts=layout.APPLY_BPE_COUNTS,
    log:
        "logs/apply_bpe/{lang}/{shard}.log",
    benchmark:
        "logs/benchmarks/apply_bpe/{lang}/{shard}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=memory("apply_bpe"),
        runtime=minutes("apply_bpe"),
    message:
        "Segment {wildcards.lang}, shard {wildcards.shard}"
    shell:
        "wikixlm apply-bpe"
        " --log {log:q}"
        " --codes {input.codes:q}"
        " --tokenized {input.shard:q}"
        " --held-out {input.held_out:q}"
        " --output {output.text:q}"
        " --symbols {output.symbols:q}"
        " --counts {output.counts:q}"


rule apply_bpe_held_out:
    """One held-out split, segmented."""
    input:
        codes=layout.CODES,
        lines=layout.HELD_OUT_LINES,
    output:
        text=layout.SEGMENTED,
        counts=layout.HELD_OUT_COUNTS,
    log:
        "logs/apply_bpe/{lang}/{split}.log",
    benchmark:
        "logs/benchmarks/apply_bpe/{lang}/{split}.tsv"
    wildcard_constraints:
        split="valid|test",
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=memory("apply_bpe"),
        runtime=minutes("apply_bpe"),
    message:
        "Segment {wildcards.split} of {wildcards.lang}"
    shell:
        "wikixlm apply-bpe"
        " --log {log:q}"
        " --codes {input.codes:q}"
        " --lines {input.lines:q}"
        " --output {output.text:q}"
        " --counts {output.counts:q}"


rule concatenate:
    """The training text of one language in one file, and its symbol counts."""
    input:
        text=shards(layout.SEGMENTED_SHARD),
        symbols=shards(layout.SHARD_SYMBOLS),
        counts=shards(layout.APPLY_BPE_COUNTS),
        split=layout.SPLIT_COUNTS,
    output:
        text=layout.of_split(layout.SEGMENTED, "train"),
        symbols=layout.SYMBOLS,
        counts=layout.CONCATENATE_COUNTS,
    log:
        "logs/concatenate/{lang}.log",
    benchmark:
        "logs/benchmarks/concatenate/{lang}.tsv"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=memory("concatenate"),
        runtime=minutes("concatenate"),
    message:
        "Concatenate the training text of {wildcards.lang}"
    shell:
        "wikixlm concatenate"
        " --log {log:q}"
        " --inputs {input.text:q}"
        " --input-counts {input.counts:q}"
        " --split {input.split:q}"
        " --symbols {input.symbols:q}"
        " --output {output.text:q}"
        " --output-symbols {output.symbols:q}"
        " --counts {output.counts:q}"


rule segmentation:
    """How each language's text splits into symbols."""
    input:
        train=every_language(layout.CONCATENATE_COUNTS),
        valid=every_language(layout.of_split(layout.HELD_OUT_COUNTS, "valid")),
        test=every_language(layout.of_split(layout.HELD_OUT_COUNTS, "test")),
    output:
        layout.SEGMENTATION,
    log:
        "logs/segmentation.log",
    conda:
        "../envs/data.yaml"
    params:
        languages=cfg.languages,
    message:
        "Count how the text splits into symbols"
    shell:
        "wikixlm segmentation"
        " --log {log:q}"
        " --languages {params.languages}"
        " --train {input.train:q}"
        " --valid {input.valid:q}"
        " --test {input.test:q}"
        " --output {output:q}"
