"""Fine-tuning the exported model to classify texts or pairs of texts, and XNLI as the usual first use of that.

rows.py reads TSV and JSON lines, examples.py makes examples of them and counts what is left out, xnli.py brings XNLI
into that form, encoding.py segments, trainer.py trains and resumes, scores.py counts, finetune.py is the stage.
transformers, accelerate and scikit-learn come with the extra `hf` and are imported by trainer.py and scores.py only.
"""
