"""The model in Hugging Face's format.

Needs: models/mlm/ with its manifest, the codes and the vocabulary; for the model card also the evaluation.
Makes: export/: config.json, model.safetensors, unigrams.safetensors, the tokenizer (vocab.json, merges.txt,
       tokenizer_config.json and its code) and README.md, the model card. Only a model with
       train.encoder_normalize_before fits a class of transformers.
"""


rule export_hf:
    """config.json, weights, tokenizer and model card; read back and compared with the trained model."""
    input:
        refusals.must_be_exportable,
        binaries=rules.data.input.binaries,
        dictionary=rules.data.input.dictionary,
        codes=layout.CODES,
        vocabulary=layout.VOCABULARY,
        model=rules.train_mlm.output,
        manifest=rules.provenance.output,
        evaluation=rules.evaluate_mlm.output,
    output:
        # update: the old export stays until the new one takes its place.
        update(preflight.EXPORT),
    log:
        "logs/export_hf.log",
    benchmark:
        "logs/benchmarks/export_hf.tsv"
    conda:
        "../envs/hf.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        lowercase="" if cfg.tokenize.lowercase_and_remove_accent else "no-",
        japanese=cfg.tokenize.japanese,
    message:
        "Export the model for transformers"
    shell:
        "wikixlm export"
        " --log {log:q}"
        " --model {input.model:q}"
        " --codes {input.codes:q}"
        " --vocabulary {input.vocabulary:q}"
        " --{params.lowercase}lowercase-and-remove-accent"
        " --japanese {params.japanese}"
        " --manifest {input.manifest:q}"
        " --evaluation {input.evaluation:q}"
        " --data $(dirname {input.dictionary:q})"
        f" --output {layout.EXPORT}"
