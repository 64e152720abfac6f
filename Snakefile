"""wikixlm: Wikipedia in N languages in, a cross-lingual masked language model out.

Targets: download, data, train_mlm, evaluate_mlm, export_hf, evaluate_crosslingual, finetune_xnli,
         report, all (the default).
Configuration: config.yaml beside this file, with --configfile and --config merged on top.
"""

from snakemake.utils import min_version

min_version("9.27")


report: "docs/captions/workflow.rst"


include: "rules/common.smk"  #     configuration, the wikixlm command, names of shards
include: "rules/download.smk"  #   Wikimedia's dumps
include: "rules/extract.smk"  #    dump or your own text -> documents
include: "rules/tokenize.smk"  #   documents -> tokens, held-out articles
include: "rules/bpe.smk"  #        tokens -> codes, segmented text, vocabulary
include: "rules/binarize.smk"  #   segmented text -> fairseq's binary data
include: "rules/train.smk"  #      binary data -> model
include: "rules/provenance.smk"  # what the model was made of
include: "rules/evaluate.smk"  #   model -> perplexity per language, what languages share
include: "rules/export.smk"  #     model -> Hugging Face directory
include: "rules/finetune.smk"  #   Hugging Face directory -> XNLI
include: "rules/report.smk"  #     the run on one page


localrules:
    all,
    data,


rule all:
    """Data, model, evaluation, export and report."""
    default_target: True
    input:
        rules.data.input,
        rules.train_mlm.output,
        rules.provenance.output,
        rules.evaluate_mlm.output,
        refusals.export_if_possible,
        refusals.crosslingual_if_possible,
        rules.report.output,
    message:
        "Finish the run"
