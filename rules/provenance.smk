"""What the model was made of.

Needs: models/mlm/model.pt and everything that led to it.
Makes: models/mlm/manifest.json: sources with dates and hashes, configuration, versions, command lines, when and on
       what the training ran, hashes of data and model; `wikixlm verify` compares.
"""


rule provenance:
    """Hashes and versions, so that a model can be traced to its dumps."""
    input:
        binaries=rules.data.input.binaries,
        dictionary=rules.data.input.dictionary,
        text=[layout.CODES, layout.VOCABULARY],
        sources=sorted({path for lang in cfg.languages for path in sources(lang)}),
        model=rules.train_mlm.output,
    output:
        layout.MODEL_MANIFEST,
    log:
        "logs/provenance.log",
    benchmark:
        "logs/benchmarks/provenance.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=memory("provenance"),
        runtime=minutes("provenance"),
    params:
        configuration=cfg.shaping(),
        sources=[f"--source={lang}={path}" for lang in cfg.languages for path in sources(lang)],
    message:
        "Record what the model was made of"
    shell:
        "wikixlm provenance"
        " --log {log:q}"
        " --model {input.model:q}"
        " --data {input.text:q} {input.dictionary:q} {input.binaries:q}"
        " {params.sources:q}"
        " --configuration {params.configuration:q}"
        f" --logs {layout.LOGS}"
        f" --save-dir {layout.SAVE_DIR}"
        " --output {output:q}"
