"""The run on one page.

Needs: the counts of every stage, models/mlm/manifest.json, evaluation/mlm_perplexity.tsv, where
       there is parallel text evaluation/crosslingual.tsv. What else there is it reads
       too, without depending on it: training curves, logs and benchmarks, evaluation/xnli.tsv.
Makes: report.html, and its figures as tables in report/.
"""


# Seconds of work on small files.
localrules:
    report,


rule report:
    """One page to look at: what data, how much was lost where, did it learn, what did it cost."""
    input:
        extracted=every_shard(layout.EXTRACT_COUNTS),
        tokenized=every_shard(layout.TOKENIZE_COUNTS),
        splits=every_language(layout.SPLIT_COUNTS),
        learned=layout.LEARN_BPE_COUNTS,
        segmented=every_shard(layout.APPLY_BPE_COUNTS),
        held_out=every_language(layout.HELD_OUT_COUNTS, split=layout.SPLITS[1:]),
        symbols=every_language(layout.SYMBOLS),
        manifest=rules.provenance.output,
        perplexity=rules.evaluate_mlm.output,
        crosslingual=refusals.crosslingual_if_possible,
    output:
        page=report(layout.REPORT, caption="../docs/captions/report.rst", category="The run", labels={"what": "report"}),
        tables=directory(layout.REPORT_TABLES),
    log:
        "logs/report.log",
    benchmark:
        "logs/benchmarks/report.tsv"
    conda:
        "../envs/report.yaml"
    params:
        configuration=cfg.shaping(),
        # Not an input, so that a new model fine-tunes nothing by itself; a new table makes the report anew.
        xnli=state_of(layout.XNLI_TABLE),
    message:
        "Write the report"
    shell:
        "wikixlm report"
        " --log {log:q}"
        " --configuration {params.configuration:q}"
        " --output {output.page:q}"
        " --tables {output.tables:q}"
