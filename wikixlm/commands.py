"""The commands of `wikixlm`: for each its module, what it does in a line, and an example that its help ends with."""

from typing import NamedTuple


class Command(NamedTuple):
    """A command; its module has `add_arguments(parser)` and `main(args)`."""

    module: str
    summary: str
    example: str


GROUPS: dict[str, dict[str, Command]] = {
    "before a run": {
        "plan": Command(
            "wikixlm.plan.command",
            "estimate what a run will need: downloads, disk, hours, jobs",
            "wikixlm plan --configfile config/small.yaml --device 'RTX 4090'",
        ),
        "dumps": Command(
            "wikixlm.download.list_dumps",
            "list what a download would fetch, or record which dump a language uses",
            "wikixlm dumps list --languages de en --contact you@example.org",
        ),
    },
    "look at a run": {
        "status": Command(
            "wikixlm.workflow.status",
            "show how far a run is: languages by stages, what failed, time left",
            "wikixlm status --directory runs/demo --watch",
        ),
        "report": Command(
            "wikixlm.report.command",
            "write one HTML page on a run, finished or not: data, learning, cost",
            "wikixlm report --directory runs/demo",
        ),
        "summary": Command(
            "wikixlm.report.summary",
            "show where the model is, its perplexities, and what to type next",
            "wikixlm summary --directory runs/demo",
        ),
        "verify": Command(
            "wikixlm.provenance.verify",
            "compare a run's files with the manifest of its model",
            "wikixlm verify --directory runs/demo",
        ),
    },
    "use a model": {
        "fill": Command(
            "wikixlm.hf.fill",
            "have the model fill in [MASK] in a sentence",
            "wikixlm fill 'London is the [MASK] of England.' --lang en --directory runs/demo",
        ),
        "embed": Command(
            "wikixlm.hf.embed",
            "write vectors of sentences, a line each, as a NumPy array",
            "wikixlm embed sentences.txt --lang en --directory runs/demo --output sentences.npy",
        ),
        "retrieve": Command(
            "wikixlm.hf.retrieve",
            "measure how often a sentence's nearest neighbour is its translation",
            "wikixlm retrieve sentences.en sentences.bg --langs en bg --directory runs/demo",
        ),
        "evaluate": Command(
            "wikixlm.evaluate.command",
            "measure masked-token perplexity per language, beside the unigram baseline",
            "wikixlm evaluate --export runs/demo/export --text en=english.txt",
        ),
        "crosslingual": Command(
            "wikixlm.evaluate.crosslingual",
            "measure whether languages share a space: retrieval of translations beside baselines",
            "wikixlm crosslingual --pair en el ntrex.en ntrex.el --directory runs/demo",
        ),
        "finetune": Command(
            "wikixlm.finetune.command",
            "fine-tune the exported model to classify texts or pairs of texts",
            "wikixlm finetune --model runs/demo/export --train train.tsv --test test.tsv --text text"
            " --output models/mine",
        ),
    },
    "stages, which snakemake calls": {
        "download": Command(
            "wikixlm.download.command",
            "download one language's dump: resumable, verified, polite",
            "wikixlm download --language de --contact you@example.org --output dumps/de/manifest.json",
        ),
        "collect-templates": Command(
            "wikixlm.extract.collect_templates",
            "collect a dump's own templates that carry text",
            "wikixlm collect-templates --dump dewiki.xml.bz2 --language de --output templates.json",
        ),
        "extract": Command(
            "wikixlm.extract.extract",
            "extract the text of one shard of a Wikipedia dump",
            "wikixlm extract --dump dewiki.xml.bz2 --language de --shard 0 --shards 8 --output de.jsonl.zst"
            " --counts counts.json",
        ),
        "corpus": Command(
            "wikixlm.extract.plain_text",
            "read one shard of your own text files, instead of a dump",
            "wikixlm corpus --text one.txt two.txt --language ka --shard 0 --shards 1 --output ka.jsonl.zst"
            " --counts counts.json",
        ),
        "tokenize": Command(
            "wikixlm.tokenize.tokenize",
            "tokenize one shard as transformers' XLMTokenizer does",
            "wikixlm tokenize --input de.jsonl.zst --language de --output tokens.jsonl.zst --counts tokens.json",
        ),
        "split": Command(
            "wikixlm.tokenize.split",
            "choose a language's test and validation articles",
            "wikixlm split --tokenized tokens.jsonl.zst --language de --output-valid valid.zst --output-test test.zst"
            " --held-out held_out.json.zst --output split.json",
        ),
        "learn-bpe": Command(
            "wikixlm.bpe.learn",
            "learn joint BPE codes from a sample of all languages",
            "wikixlm learn-bpe --splits de/split.json fr/split.json --codes 60000 --output codes",
        ),
        "apply-bpe": Command(
            "wikixlm.bpe.apply",
            "segment one shard or one held-out split",
            "wikixlm apply-bpe --codes codes --lines valid.zst --output valid.de",
        ),
        "concatenate": Command(
            "wikixlm.bpe.concatenate",
            "join the segmented shards of one language",
            "wikixlm concatenate --inputs 0.zst 1.zst --output train.de",
        ),
        "segmentation": Command(
            "wikixlm.bpe.statistics",
            "tabulate tokens per word, whole words and unknown characters by language",
            "wikixlm segmentation --languages de --train train.json --valid valid.json --test test.json"
            " --output segmentation.tsv",
        ),
        "vocabulary": Command(
            "wikixlm.bpe.vocabulary",
            "merge symbol counts into the joint vocabulary",
            "wikixlm vocabulary --symbols de.zst fr.zst --output vocab_mlm",
        ),
        "binarize": Command(
            "wikixlm.binarize.binarize",
            "run fairseq-preprocess on one language",
            "wikixlm binarize --language de --vocabulary vocab_mlm --train train.de --valid valid.de --test test.de"
            " --output-dir data",
        ),
        "dictionary": Command(
            "wikixlm.binarize.dictionary",
            "check that all languages share one dictionary, and write dict.txt",
            "wikixlm dictionary --dictionaries data/dict.de.txt data/dict.fr.txt --output data/dict.txt",
        ),
        "train": Command(
            "wikixlm.train.command",
            "train the masked language model with fairseq",
            "wikixlm train --data data --languages de fr --settings '{\"max_update\": 1000}' --save-dir checkpoints"
            " --output model.pt",
        ),
        "provenance": Command(
            "wikixlm.provenance.manifest",
            "record what a model was made of: sources, configuration, versions, hashes",
            "wikixlm provenance --model model.pt --data codes vocab_mlm --configuration '{}' --output manifest.json",
        ),
        "export": Command(
            "wikixlm.export.command",
            "write the model as a Hugging Face directory for transformers",
            "wikixlm export --model model.pt --codes codes --vocabulary vocab_mlm --output export",
        ),
        "download-xnli": Command(
            "wikixlm.download.xnli",
            "download XNLI: resumable, polite, the same content every time",
            "wikixlm download-xnli --contact you@example.org --output xnli/manifest.json",
        ),
        "prepare-xnli": Command(
            "wikixlm.finetune.prepare_xnli",
            "select XNLI's examples in the model's languages",
            "wikixlm prepare-xnli --source xnli --languages en de --output-dir work/xnli --counts counts.json",
        ),
        "score-xnli": Command(
            "wikixlm.finetune.xnli_table",
            "write XNLI's table: accuracy per language over seeds, and the gap to English",
            "wikixlm score-xnli --seeds 0 1 --metrics seed-0/metrics.tsv seed-1/metrics.tsv --output xnli.tsv",
        ),
    },
}

COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
