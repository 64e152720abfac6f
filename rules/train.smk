"""The masked language model.

Needs: monolingual_data/fairseq_processed/.
Makes: models/mlm/model.pt. The save directory checkpoints/mlm is fairseq's own and no rule's output, because
       Snakemake deletes outputs before a rerun and a killed training must resume from its last checkpoint.
"""


rule train_mlm:
    """fairseq-train until max_update; resumes from the last checkpoint of the same data and settings."""
    input:
        binaries=rules.data.input.binaries,
        dictionary=rules.data.input.dictionary,
    output:
        layout.MODEL,
    log:
        "logs/train_mlm.log",
    benchmark:
        "logs/benchmarks/train_mlm.tsv"
    conda:
        "../envs/train.yaml"
    threads: 16
    resources:
        **cfg.train.training_resources(),
        **operational(
            device=cfg.train.device,
            workers=cfg.train.gpus,
            keep=cfg.train.keep_checkpoints,
            tensorboard="--tensorboard" if cfg.train.tensorboard else "",
        ),
        mem_mb=lambda wildcards, attempt: cfg.training_megabytes() * attempt,
        runtime=1440,
    params:
        languages=cfg.languages,
        settings=cfg.train.settings(),
        dataset_impl=cfg.binarize.dataset_impl,
    message:
        "Train the masked language model"
    shell:
        "wikixlm train"
        " --log {log:q}"
        " --data $(dirname {input.dictionary:q})"
        " --languages {params.languages}"
        " --settings"
        " {params.settings:q}"
        " --dataset-impl {params.dataset_impl}"
        " --device {resources.device}"
        " --gpus {resources.workers}"
        " --nodes {resources.nodes}"
        " --keep-checkpoints {resources.keep}"
        " --threads {threads}"
        " {resources.tensorboard}"
        f" --save-dir {layout.SAVE_DIR}"
        " --output {output:q}"
