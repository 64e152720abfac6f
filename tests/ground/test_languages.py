"""Language codes and the table of Wikipedias."""

import importlib.util
from pathlib import Path

import pytest

from wikixlm import languages
from wikixlm.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("code", "dbname", "host"),
    [
        ("de", "dewiki", "de.wikipedia.org"),
        ("simple", "simplewiki", "simple.wikipedia.org"),
        ("als", "alswiki", "als.wikipedia.org"),
        ("gsw", "alswiki", "als.wikipedia.org"),
        ("zh-yue", "zh_yuewiki", "zh-yue.wikipedia.org"),
        ("zh_yue", "zh_yuewiki", "zh-yue.wikipedia.org"),
        ("yue", "zh_yuewiki", "zh-yue.wikipedia.org"),
        ("zh-min-nan", "zh_min_nanwiki", "zh-min-nan.wikipedia.org"),
        ("nds-nl", "nds_nlwiki", "nds-nl.wikipedia.org"),
        ("nds_nl", "nds_nlwiki", "nds-nl.wikipedia.org"),
        ("be", "bewiki", "be.wikipedia.org"),
        ("be-tarask", "be_x_oldwiki", "be-tarask.wikipedia.org"),
        ("be-x-old", "be_x_oldwiki", "be-tarask.wikipedia.org"),
        ("be_x_old", "be_x_oldwiki", "be-tarask.wikipedia.org"),
        ("no", "nowiki", "no.wikipedia.org"),
        ("nb", "nowiki", "no.wikipedia.org"),
        ("nn", "nnwiki", "nn.wikipedia.org"),
    ],
)
def test_codes_lead_to_wikimedias_names(code: str, dbname: str, host: str) -> None:
    wiki = languages.wiki(code)
    assert (wiki.dbname, wiki.host) == (dbname, host)
    assert languages.is_language(code)


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("DE", "de"),
        ("deu", "de"),
        ("pt-br", "pt"),
        ("dk", "da"),
        ("zh-tw", "zh"),
        ("be-tarsk", "be"),
        ("xx", None),
        ("cmn", "zh"),
        ("kmr", "ku"),
        ("zsm", "ms"),
        ("iw", "he"),
        ("swe", "sv"),
        ("est", "et"),
        ("cmn-Hans", "zh"),
        ("jp", "ja"),
    ],
)
def test_unknown_codes_are_refused_with_a_suggestion(code: str, meant: str | None) -> None:
    assert not languages.is_language(code)
    assert languages.suggest(code) == meant


def test_an_unknown_code_is_one_clear_error() -> None:
    with pytest.raises(UserError, match=r"^no Wikipedia has the language code 'deu'; did you mean de\?$"):
        languages.wiki("deu")


def test_every_code_of_iso_639_leads_to_a_wikipedia() -> None:
    codes = languages._iso_codes()
    assert len(codes) > 180
    for iso, code in codes.items():
        assert languages.wiki(code).code == code, iso
        assert languages.suggest(iso) == (iso if languages.is_language(iso) else code)


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("de", "de"),
        ("als", "gsw"),
        ("simple", "en"),
        ("zh-yue", "yue"),
        ("yue", "yue"),
        ("be-x-old", "be-tarask"),
        ("nds-nl", "nds-NL"),
        ("zh-min-nan", "nan"),
        ("roa-rup", "rup"),
        ("bat-smg", "sgs"),
    ],
)
def test_tags_of_bcp_47(code: str, tag: str) -> None:
    assert languages.bcp47(code) == tag


def test_no_tag_of_bcp_47_is_wikimedias_own() -> None:
    import re

    for each in languages.all_wikis():
        assert re.fullmatch(r"[a-z]{2,3}(-[A-Z]{2}|-tarask|-x-[a-z]+)?", languages.bcp47(each.code)), each.code


def test_closed_wikis_are_known_and_marked() -> None:
    assert languages.wiki("aa").closed
    assert not languages.wiki("ar").closed


def test_the_table_is_sound() -> None:
    wikis = languages.all_wikis()
    assert len(wikis) > 300
    for column in ("code", "dbname", "host"):
        assert len({getattr(wiki, column) for wiki in wikis}) == len(wikis), f"two wikis share a {column}"
    for wiki in wikis:
        assert languages.wiki(wiki.code) == wiki, "an alias hides another wiki"
        assert wiki.dbname == wiki.dbname.lower() and wiki.dbname.endswith("wiki") and "-" not in wiki.dbname


def test_the_table_is_what_its_source_says_now() -> None:
    pytest.importorskip("pywikibot", exc_type=ImportError)
    spec = importlib.util.spec_from_file_location("wikis", ROOT / "tools" / "wikis.py")
    assert spec is not None and spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.TABLE.read_text(encoding="utf-8") == generator.table(), "run: python tools/wikis.py"
