"""The run on one page.

Needs: the counts of every stage, models/mlm/manifest.json, evaluation/mlm_perplexity.tsv. What else there is it reads
       too, without depending on it: training curves, logs and benchmarks, evaluation/xnli.tsv.
Makes: report.html, and its figures as tables in report/.
"""


# Seconds of work on small files.
localrules:
    report,


rule report:
    """One page to look at: what data, how much was lost where, did it learn, what did it cost."""
    input:
        extracted=every_shard("work/counts/extract/{lang}/{shard}.json"),
        tokenized=every_shard("work/counts/tokenize/{lang}/{shard}.json"),
        splits=every_language("work/split/{lang}/split.json"),
        learned="work/counts/learn_bpe.json",
        segmented=every_shard("work/counts/apply_bpe/{lang}/{shard}.json"),
        held_out=every_language("work/counts/apply_bpe/{lang}/{split}.json", split=["valid", "test"]),
        symbols=every_language("work/vocabulary/{lang}.zst"),
        manifest=rules.provenance.output,
        perplexity=rules.evaluate_mlm.output,
    output:
        page=report("report.html", caption="../docs/captions/report.rst", category="The run", labels={"what": "report"}),
        tables=directory("report"),
    log:
        "logs/report.log",
    benchmark:
        "logs/benchmarks/report.tsv"
    conda:
        "../envs/report.yaml"
    params:
        configuration=cfg.shaping(),
        # Not an input, so that a new model fine-tunes nothing by itself; a new table makes the report anew.
        xnli=state_of("evaluation/xnli.tsv"),
    shell:
        "wikixlm report --log {log:q} --configuration {params.configuration:q} --output {output.page:q}"
        " --tables {output.tables:q}"
