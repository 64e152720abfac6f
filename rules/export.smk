"""The model in Hugging Face's format.

Needs: models/mlm/ with its manifest, the codes and the vocabulary; for the model card also the evaluation.
Makes: export/: config.json, model.safetensors, vocab.json, merges.txt, tokenizer_config.json, the tokenizer's code and
       README.md, the model card. Only a model with train.encoder_normalize_before fits a class of transformers.
"""

from wikixlm.export import FILES

UNFIT = (
    "without train.encoder_normalize_before: true the model has no LayerNorm on its embeddings, and fits no class of"
    " transformers"
)
EXPORTED = [f"export/{name}" for name in FILES]


def fits_transformers(wildcards):
    """No more inputs; a model that can't be exported stops here, before anything is made."""
    if not cfg.train.fits_transformers():
        refuse(f"export_hf: {UNFIT}")
    return []


def exported_where_it_fits(wildcards):
    """The export, for targets that go without it where the model fits no class of transformers."""
    if cfg.train.fits_transformers():
        return EXPORTED
    remark(f"export/ is left out: {UNFIT}")
    return []


rule export_hf:
    """config.json, weights, tokenizer and model card; read back and compared with the trained model."""
    input:
        fits_transformers,
        binaries=rules.data.input.binaries,
        dictionary=rules.data.input.dictionary,
        codes="monolingual_data/processed/codes",
        vocabulary="monolingual_data/processed/vocab_mlm",
        model="models/mlm/model.pt",
        manifest="models/mlm/manifest.json",
        evaluation="evaluation/mlm_perplexity.tsv",
    output:
        # update: the old export stays until the new one takes its place.
        update(EXPORTED),
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
    shell:
        "wikixlm export --log {log:q} --model {input.model:q} --codes {input.codes:q} --vocabulary {input.vocabulary:q}"
        " --{params.lowercase}lowercase-and-remove-accent --japanese {params.japanese}"
        " --manifest {input.manifest:q} --evaluation {input.evaluation:q} --data $(dirname {input.dictionary:q})"
        " --output export"
