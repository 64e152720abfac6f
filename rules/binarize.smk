"""fairseq's binary data.

Needs: monolingual_data/processed/{train,valid,test}.{lang} and work/vocabulary/, or a frozen bpe.vocab_file.
Makes: monolingual_data/processed/vocab_mlm; monolingual_data/fairseq_processed/{split}.{lang}.{bin,idx}, dict.txt.

What is seconds of work on all languages together is a local rule, not worth a place in a cluster's queue.
"""

if cfg.bpe.vocab_file:

    rule reuse_vocabulary:
        """The vocabulary of an earlier run, checked and copied: ids stay as they are."""
        input:
            vocabulary=str(locate(cfg.bpe.vocab_file)),
            codes=layout.CODES,
        output:
            layout.VOCABULARY,
        log:
            "logs/vocabulary.log",
        localrule: True
        conda:
            "../envs/data.yaml"
        message:
            "Reuse the vocabulary of an earlier run"
        shell:
            "wikixlm vocabulary --log {log:q} --vocab-file {input.vocabulary:q}"
            " --codes {input.codes:q} --output {output:q}"

else:

    rule vocabulary:
        """The symbols of all languages' training text, the most frequent first."""
        input:
            symbols=every_language(layout.SYMBOLS),
            codes=layout.CODES,
        output:
            layout.VOCABULARY,
        log:
            "logs/vocabulary.log",
        localrule: True
        conda:
            "../envs/data.yaml"
        message:
            "Merge the symbol counts into the joint vocabulary"
        shell:
            "wikixlm vocabulary --log {log:q} --symbols {input.symbols:q}"
            " --codes {input.codes:q} --output {output:q}"


rule binarize:
    """fairseq-preprocess on one language, its outputs renamed to what the cross_lingual_lm task opens."""
    input:
        vocabulary=layout.VOCABULARY,
        train=rules.concatenate.output.text,
        valid=layout.of_split(layout.SEGMENTED, "valid"),
        test=layout.of_split(layout.SEGMENTED, "test"),
    output:
        expand(layout.BINARY, split=layout.SPLITS, extension=["bin", "idx"], allow_missing=True),
        dictionary=layout.LANGUAGE_DICTIONARY,
    log:
        "logs/binarize/{lang}.log",
    benchmark:
        "logs/benchmarks/binarize/{lang}.tsv"
    conda:
        "../envs/train.yaml"
    threads: cfg.binarize.workers
    resources:
        mem_mb=memory("binarize", cfg.binarize.workers),
        runtime=minutes("binarize", cfg.binarize.workers),
    params:
        dataset_impl=cfg.binarize.dataset_impl,
    message:
        "Binarize {wildcards.lang}"
    shell:
        "wikixlm binarize"
        " --log {log:q}"
        " --language {wildcards.lang}"
        " --vocabulary {input.vocabulary:q}"
        " --train {input.train:q}"
        " --valid {input.valid:q}"
        " --test {input.test:q}"
        " --dataset-impl {params.dataset_impl}"
        " --workers {threads}"
        " --output-dir $(dirname {output.dictionary:q})"


rule dictionary:
    """One dict.txt for all languages, after checking that theirs are the same."""
    input:
        every_language(rules.binarize.output.dictionary),
    output:
        layout.DICTIONARY,
    log:
        "logs/dictionary.log",
    localrule: True
    conda:
        "../envs/train.yaml"
    message:
        "Check that all languages share one dictionary"
    shell:
        "wikixlm dictionary --log {log:q} --dictionaries {input:q} --output {output:q}"


rule data:
    """Target: all up to the binarized data, and how the text splits into symbols."""
    input:
        # Deleting resolved.yaml is how a user asks for a newer dump; only a target can ask for it again.
        dumps=expand(layout.RESOLVED, lang=cfg.downloaded()),
        binaries=every_language(layout.BINARY, split=layout.SPLITS, extension=["bin", "idx"]),
        dictionary=rules.dictionary.output,
        segmentation=rules.segmentation.output,
    message:
        "Finish the binarized data"
