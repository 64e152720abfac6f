"""Fine-tuning on XNLI; only where the target finetune_xnli asks for it.

Needs: export/, English among the languages; xnli.local, or dumps.contact for a download.
Makes: xnli/ as downloaded, work/xnli/, models/xnli/seed-{seed}/, evaluation/xnli.tsv. checkpoints/xnli/ is no rule's
       output, so that a killed fine-tuning resumes from its last checkpoint.
"""


localrules:
    finetune_xnli,


rule download_xnli:
    """Both archives, the same content every time; whatever breaks, the next call resumes where this one stopped."""
    input:
        refusals.must_name_contact,
    output:
        layout.XNLI_MANIFEST,
    log:
        "logs/download_xnli.log",
    benchmark:
        "logs/benchmarks/download_xnli.tsv"
    localrule: not PARTITION
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        **{**SERVERS, **operational(mirrors=shlex.join(cfg.xnli.mirrors))},
        runtime=lambda wildcards, attempt: 240 * attempt,
    message:
        "Download XNLI"
    shell:
        "wikixlm download-xnli"
        " --log {log:q}"
        " --output {output:q}"
        " --mirrors {resources.mirrors}"
        " --contact {resources.contact}"


rule prepare_xnli:
    """English MultiNLI to train on, XNLI in the run's languages; rows in and out are counted."""
    input:
        refusals.must_have_english,
        source=str(locate(cfg.xnli.local)) if cfg.xnli.local else rules.download_xnli.output,
    output:
        train=layout.of_split(layout.XNLI_EXAMPLES, "train"),
        valid=layout.of_split(layout.XNLI_EXAMPLES, "valid"),
        test=layout.of_split(layout.XNLI_EXAMPLES, "test"),
        counts=layout.XNLI_COUNTS,
    log:
        "logs/prepare_xnli.log",
    benchmark:
        "logs/benchmarks/prepare_xnli.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        languages=cfg.languages,
    message:
        "Prepare XNLI's examples"
    shell:
        "wikixlm prepare-xnli"
        " --log {log:q}"
        " --source {input.source:q}"
        " --languages {params.languages}"
        " --output-dir $(dirname {output.train:q})"
        " --counts {output.counts:q}"


rule finetune_xnli_seed:
    """The exported model fine-tuned on English with one seed, and scored in every language."""
    input:
        train=rules.prepare_xnli.output.train,
        valid=rules.prepare_xnli.output.valid,
        test=rules.prepare_xnli.output.test,
        model=rules.export_hf.output,
    output:
        # update: an old model stays until the new one takes its place.
        update(expand(f"{layout.XNLI_MODEL}/{{name}}", name=["config.json", "model.safetensors"], allow_missing=True)),
        metrics=update(layout.XNLI_METRICS),
    log:
        "logs/finetune_xnli/seed-{seed}.log",
    benchmark:
        "logs/benchmarks/finetune_xnli/seed-{seed}.tsv"
    conda:
        "../envs/hf.yaml"
    threads: 8
    resources:
        **cfg.train.gpu_resources(),
        **operational(device=cfg.train.device),
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        settings=cfg.xnli.options(),
    message:
        "Fine-tune on XNLI with seed {wildcards.seed}"
    shell:
        # The training text comes as tokens.
        "wikixlm finetune"
        " --log {log:q}"
        f" --model {layout.EXPORT}"
        " --train {input.train:q}"
        " --valid {input.valid:q}"
        " --test {input.test:q}"
        " --text premise hypothesis"
        " --tokenized train"
        " --seed {wildcards.seed}"
        " {params.settings}"
        " --device {resources.device}"
        " --threads {threads}"
        f" --checkpoints {layout.XNLI_SAVE_DIR.replace('seed}', 'wildcards.seed}')}"
        " --output $(dirname {output.metrics:q})"


rule finetune_xnli:
    """Target: accuracy per language and seed, their means, and the zero-shot gap to English."""
    input:
        refusals.must_have_english,
        metrics=expand(rules.finetune_xnli_seed.output.metrics, seed=cfg.xnli.seeds),
    output:
        layout.XNLI_TABLE,
    log:
        "logs/finetune_xnli.log",
    conda:
        "../envs/data.yaml"
    params:
        seeds=cfg.xnli.seeds,
    message:
        "Score XNLI over seeds"
    shell:
        "wikixlm score-xnli"
        " --log {log:q}"
        " --seeds {params.seeds}"
        " --metrics {input.metrics:q}"
        " --output {output:q}"
