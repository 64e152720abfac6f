"""XNLI in small: its files and columns, with a rule that a tiny model learns in seconds and that crosses languages.

A sign in the hypothesis gives the label away. Words are those of a language, signs are everyone's: a model that has
learned the rule in English can have it elsewhere.
"""

import random
import zipfile
from pathlib import Path

SIGNS = {"entailment": "!", "contradiction": "0", "neutral": "?"}
WORDS = {
    "en": "the house river old sees a king green walks to town dog",
    "bg": "къща река стар вижда цар зелен върви към град куче един той",
    "sw": "nyumba mto zamani anaona mfalme kijani anatembea kwenda mji mbwa",
}
HEADER = [
    *["language", "gold_label", "sentence1_binary_parse", "sentence2_binary_parse"],
    *["sentence1_parse", "sentence2_parse", "sentence1", "sentence2", "promptID", "pairID", "genre"],
    *["label1", "label2", "label3", "label4", "label5", "sentence1_tokenized", "sentence2_tokenized", "match"],
]


def pairs(language: str, number: int, seed: int) -> list[tuple[str, str, str]]:
    """Premise, hypothesis and label, the labels in turn."""
    rng = random.Random(f"{language} {seed}")
    found = []
    for k in range(number):
        label = list(SIGNS)[k % 3]
        premise = rng.sample(WORDS[language].split(), rng.randint(3, 8))
        hypothesis = [*rng.sample(premise, rng.randint(1, 3)), SIGNS[label]]
        found.append((" ".join(premise).capitalize() + ".", " ".join(hypothesis).capitalize() + ".", label))
    return found


def row(language: str, premise: str, hypothesis: str, label: str) -> str:
    """A line of xnli.dev.tsv."""
    fields = dict.fromkeys(HEADER, "") | {"language": language, "gold_label": label}
    return "\t".join((fields | {"sentence1": premise, "sentence2": hypothesis}).values()) + "\n"


def write(folder: Path, train: int = 300, held_out: int = 30, languages: str = "en bg sw") -> Path:
    """XNLI-1.0 and XNLI-MT-1.0, unpacked, in `folder`."""
    (folder / "XNLI-1.0").mkdir(parents=True)
    for number, name in enumerate(("dev", "test"), start=1):
        lines = [row(lang, *pair) for lang in languages.split() for pair in pairs(lang, held_out, number)]
        text = "\t".join(HEADER) + "\n" + "".join(lines)
        (folder / "XNLI-1.0" / f"xnli.{name}.tsv").write_text(text, encoding="utf-8")
    multinli = folder / "XNLI-MT-1.0" / "multinli"
    multinli.mkdir(parents=True)
    lines = ["premise\thypo\tlabel\n"]
    for premise, hypothesis, label in pairs("en", train, 0):
        tokens = [text.replace(".", " .") for text in (premise, hypothesis)]
        lines.append("\t".join([*tokens, label.replace("contradiction", "contradictory")]) + "\n")
    (multinli / "multinli.train.en.tsv").write_text("".join(lines), encoding="utf-8")
    return folder


def pack(unpacked: Path, folder: Path) -> Path:
    """The two archives, as they are published, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("XNLI-1.0", "XNLI-MT-1.0"):
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted((unpacked / name).rglob("*.tsv")):
                archive.write(path, path.relative_to(unpacked).as_posix())
                archive.writestr(f"__MACOSX/{name}/._{path.name}", b"\0")
    return folder
