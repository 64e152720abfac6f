"""The model card shows what files hold as text."""

import yaml

from wikixlm.export.card import CardFacts, model_card
from wikixlm.model.network import NetworkConfig

MARKUP = "<script>alert(1)</script> | [click](javascript:x) `code`\n# heading\x1b[31m"


def test_markup_from_a_runs_files_is_text():
    manifest = {
        "made": MARKUP,
        "wikixlm": MARKUP,
        "git_commit": MARKUP,
        "configuration": {"train": {"precision": MARKUP}, "corpora": {"local": {"en": []}}},
        "sources": {"en": [{"path": f"/data/{MARKUP}", "size": 1, "sha256": MARKUP}, {"wiki": MARKUP, "date": MARKUP}]},
    }
    figures = {"perplexity": "1.0", "accuracy": "0.5", "unigram": "2.0"}
    rows = [{"language": MARKUP, "split": MARKUP, "tokens": MARKUP, **figures}]
    card = model_card(CardFacts(["en"], NetworkConfig(20, 1, 64), 10, True, "kytea", manifest, rows))
    metadata, _, body = card.removeprefix("---\n").partition("\n---\n")
    assert yaml.safe_load(metadata)["library_name"] == "transformers"
    assert "<script" not in body
    assert "[click]" not in body
    assert "\x1b" not in card
    assert "\n# heading" not in card
    assert r"&lt;script>alert(1)&lt;/script> \| \[click\](javascript:x) \`code\` # heading" in body
