"""fairseq's binary data.

Needs: monolingual_data/processed/{train,valid,test}.{lang} and work/vocabulary/, or a frozen bpe.vocab_file.
Makes: monolingual_data/processed/vocab_mlm; monolingual_data/fairseq_processed/{split}.{lang}.{bin,idx}, dict.txt.
"""


# Seconds of work on what all languages share: not worth a place in a cluster's queue.
localrules:
    vocabulary,
    dictionary,


if cfg.bpe.vocab_file:

    rule vocabulary:
        """The vocabulary of an earlier run, checked and copied: ids stay as they are."""
        input:
            str(locate(cfg.bpe.vocab_file)),
        output:
            "monolingual_data/processed/vocab_mlm",
        log:
            "logs/vocabulary.log",
        conda:
            "../envs/data.yaml"
        shell:
            "wikixlm vocabulary --log {log:q} --vocab-file {input:q} --output {output:q}"

else:

    rule vocabulary:
        """The symbols of all languages' training text, the most frequent first."""
        input:
            every_language("work/vocabulary/{lang}.zst"),
        output:
            "monolingual_data/processed/vocab_mlm",
        log:
            "logs/vocabulary.log",
        conda:
            "../envs/data.yaml"
        shell:
            "wikixlm vocabulary --log {log:q} --symbols {input:q} --output {output:q}"


rule binarize:
    """fairseq-preprocess on one language, its outputs renamed to what the cross_lingual_lm task opens."""
    input:
        vocabulary="monolingual_data/processed/vocab_mlm",
        train="monolingual_data/processed/train.{lang}",
        valid="monolingual_data/processed/valid.{lang}",
        test="monolingual_data/processed/test.{lang}",
    output:
        multiext("monolingual_data/fairseq_processed/train.{lang}", ".bin", ".idx"),
        multiext("monolingual_data/fairseq_processed/valid.{lang}", ".bin", ".idx"),
        multiext("monolingual_data/fairseq_processed/test.{lang}", ".bin", ".idx"),
        dictionary="monolingual_data/fairseq_processed/dict.{lang}.txt",
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
    shell:
        "wikixlm binarize --log {log:q} --language {wildcards.lang} --vocabulary {input.vocabulary:q}"
        " --train {input.train:q} --valid {input.valid:q} --test {input.test:q}"
        " --dataset-impl {params.dataset_impl} --workers {threads}"
        " --output-dir $(dirname {output.dictionary:q})"


rule dictionary:
    """One dict.txt for all languages, after checking that theirs are the same."""
    input:
        every_language("monolingual_data/fairseq_processed/dict.{lang}.txt"),
    output:
        "monolingual_data/fairseq_processed/dict.txt",
    log:
        "logs/dictionary.log",
    conda:
        "../envs/train.yaml"
    shell:
        "wikixlm dictionary --log {log:q} --dictionaries {input:q} --output {output:q}"


rule data:
    """Target: all up to the binarized data, and how the text splits into symbols."""
    input:
        # Deleting resolved.yaml is how a user asks for a newer dump; only a target can ask for it again.
        dumps=expand("dumps/{lang}/resolved.yaml", lang=cfg.downloaded()),
        binaries=every_language(
            "monolingual_data/fairseq_processed/{split}.{lang}.{extension}", split=SPLITS, extension=["bin", "idx"]
        ),
        dictionary="monolingual_data/fairseq_processed/dict.txt",
        segmentation="evaluation/segmentation.tsv",
