"""How good the model is.

Needs: models/mlm/model.pt, monolingual_data/fairseq_processed/; export/ and parallel text (crosslingual.retrieval).
Makes: evaluation/mlm_perplexity.tsv, per language and split beside the unigram baseline; evaluation/crosslingual.tsv,
       retrieval of translations beside baselines that need no model.
"""


rule evaluate_mlm:
    """Masked-token perplexity of valid and test, every example once."""
    input:
        binaries=rules.data.input.binaries,
        dictionary=rules.data.input.dictionary,
        model=rules.train_mlm.output,
    output:
        report(
            layout.PERPLEXITY,
            caption="../docs/captions/perplexity.rst",
            category="The model",
            labels={"what": "perplexity"},
        ),
    log:
        "logs/evaluate_mlm.log",
    benchmark:
        "logs/benchmarks/evaluate_mlm.tsv"
    conda:
        "../envs/train.yaml"
    threads: 16
    resources:
        **cfg.train.gpu_resources(),
        **operational(device=cfg.train.device),
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        languages=cfg.languages,
        seed=cfg.evaluate.seed,
        pseudo=cfg.evaluate.pseudo_lines,
    message:
        "Evaluate the model in every language"
    shell:
        "wikixlm evaluate"
        " --log {log:q}"
        " --checkpoint {input.model:q}"
        " --data $(dirname {input.dictionary:q})"
        " --languages {params.languages}"
        " --splits valid test"
        " --seed {params.seed}"
        " --device {resources.device}"
        " --threads {threads}"
        " --pseudo {params.pseudo}"
        " --output {output:q}"


rule evaluate_crosslingual:
    """How often a sentence's nearest one in another language is its translation."""
    input:
        refusals.must_have_pairs,
        model=preflight.EXPORT,
        text=[str(locate(name)) for pair in cfg.retrieval_pairs() for name in pair.files],
    output:
        report(
            layout.CROSSLINGUAL,
            caption="../docs/captions/crosslingual.rst",
            category="The model",
            labels={"what": "retrieval"},
        ),
    log:
        "logs/evaluate_crosslingual.log",
    benchmark:
        "logs/benchmarks/evaluate_crosslingual.tsv"
    conda:
        "../envs/hf.yaml"
    threads: 8
    resources:
        **cfg.train.gpu_resources(),
        **operational(device=cfg.train.device),
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        pairs=[
            f"--pair {pair.source} {pair.target} {shlex.join(str(locate(name)) for name in pair.files)}"
            for pair in cfg.retrieval_pairs()
        ],
        seed=cfg.crosslingual.seed,
    message:
        "Look for translations between languages"
    shell:
        "wikixlm crosslingual"
        " --log {log:q}"
        f" --export {layout.EXPORT}"
        " {params.pairs}"
        " --seed {params.seed}"
        " --device {resources.device}"
        " --output {output:q}"
