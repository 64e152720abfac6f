"""Write wikixlm/data/wiki_names.json: how each Wikipedia names what the extraction must recognize.

    python tools/wiki_names.py --mediawiki FOLDER --scripts FOLDER

One line of JSON a wiki: the names and aliases of the file, category and template namespaces, behaviour switches
(`__NOTOC__`), parser functions and the format of numbers, from an installed MediaWiki (Debian's package mediawiki);
the titles of the sections for references and links, from pywikibot-scripts (MIT licence; pip download, unpacked) and
the supplement below. Names that every wiki accepts (`File`, `Image`, `Category`, English switches) are in English's
line alone.
"""

import argparse
import ast
import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "wikixlm" / "data" / "wiki_names.json"
# Sections that pywikibot's bot does not need, in the largest wikis that it leaves out.
MORE_SECTIONS = {
    "ar": ["انظر أيضًا", "انظر أيضا", "مصادر", "روابط خارجية", "هوامش", "قراءة موسعة"],
    "bg": ["Източници", "Външни препратки", "Вижте също", "Бележки", "Литература", "Библиография"],
    "bn": ["তথ্যসূত্র", "বহিঃসংযোগ", "আরও দেখুন", "আরও পড়ুন", "পাদটীকা"],
    "ca": ["Referències", "Enllaços externs", "Vegeu també", "Notes", "Bibliografia"],
    "cs": ["Externí odkazy", "Literatura", "Související články", "Odkazy"],
    "da": ["Se også", "Eksterne henvisninger", "Kilder", "Litteratur", "Noter", "Referencer"],
    "de": ["Siehe auch", "Weblinks", "Literatur", "Einzelnachweise", "Anmerkungen", "Quellen", "Fußnoten"],
    "el": ["Παραπομπές", "Βιβλιογραφία", "Εξωτερικοί σύνδεσμοι", "Δείτε επίσης", "Πηγές", "Σημειώσεις",
           "Παραπομπές - σημειώσεις", "Παραπομπές και σημειώσεις", "Περαιτέρω ανάγνωση", "Υποσημειώσεις"],
    "en": ["References", "External links", "See also", "Notes", "Footnotes", "Bibliography", "Further reading",
           "Sources", "Works cited", "Citations", "Notes and references", "Print sources", "Web sources"],
    "eo": ["Referencoj", "Eksteraj ligiloj", "Vidu ankaŭ", "Notoj", "Literaturo", "Fontoj"],
    "es": ["Referencias", "Enlaces externos", "Véase también", "Notas", "Bibliografía", "Fuentes"],
    "eu": ["Erreferentziak", "Kanpo estekak", "Ikus, gainera", "Oharrak", "Bibliografia"],
    "fa": ["منابع", "پیوند به بیرون", "جستارهای وابسته", "پانویس", "یادداشت‌ها", "برای مطالعه بیشتر"],
    "fi": ["Lähteet", "Aiheesta muualla", "Katso myös", "Viitteet", "Kirjallisuutta"],
    "fr": ["Références", "Liens externes", "Voir aussi", "Notes et références", "Notes", "Bibliographie", "Sources",
           "Articles connexes", "Lien externe", "Annexes"],
    "he": ["הערות שוליים", "קישורים חיצוניים", "ראו גם", "לקריאה נוספת", "ביאורים"],
    "hi": ["सन्दर्भ", "संदर्भ", "बाहरी कड़ियाँ", "इन्हें भी देखें", "टिप्पणी"],
    "hu": ["Források", "További információk", "Jegyzetek", "Kapcsolódó szócikkek", "Irodalom", "Lásd még"],
    "hy": ["Ծանոթագրություններ", "Արտաքին հղումներ", "Գրականություն", "Տես նաև"],
    "id": ["Referensi", "Pranala luar", "Lihat pula", "Catatan", "Bacaan lanjutan", "Daftar pustaka"],
    "it": ["Note", "Collegamenti esterni", "Voci correlate", "Bibliografia", "Altri progetti", "Fonti"],
    "ja": ["脚注", "注釈", "出典", "参考文献", "関連項目", "外部リンク", "関連書籍", "関連文献"],
    "ko": ["각주", "외부 링크", "같이 보기", "참고 문헌", "참고 자료", "내용주", "출처주"],
    "nl": ["Externe links", "Zie ook", "Bronnen", "Referenties", "Literatuur", "Noten", "Externe link"],
    "no": ["Referanser", "Eksterne lenker", "Se også", "Litteratur", "Kilder", "Noter"],
    "pl": ["Przypisy", "Linki zewnętrzne", "Bibliografia", "Zobacz też", "Uwagi"],
    "pt": ["Referências", "Ligações externas", "Ver também", "Notas", "Bibliografia", "Leitura adicional"],
    "ro": ["Note", "Legături externe", "Vezi și", "Bibliografie", "Referințe", "Lectură suplimentară"],
    "ru": ["Примечания", "Ссылки", "См. также", "Литература", "Источники", "Комментарии", "Библиография"],
    "sr": ["Референце", "Спољашње везе", "Види још", "Литература", "Напомене", "Извори"],
    "sv": ["Referenser", "Externa länkar", "Se även", "Källor", "Litteratur", "Noter", "Fotnoter"],
    "th": ["อ้างอิง", "แหล่งข้อมูลอื่น", "ดูเพิ่ม", "เชิงอรรถ", "หมายเหตุ", "บรรณานุกรม"],
    "tr": ["Kaynakça", "Dış bağlantılar", "Ayrıca bakınız", "Notlar", "Konuyla ilgili yayınlar"],
    "uk": ["Примітки", "Посилання", "Див. також", "Література", "Джерела", "Виноски", "Бібліографія", "Коментарі"],
    "vi": ["Tham khảo", "Liên kết ngoài", "Xem thêm", "Chú thích", "Ghi chú", "Đọc thêm", "Thư mục", "Nguồn",
           "Nguồn tham khảo", "Thư mục hậu cần", "Chú giải", "Tài liệu tham khảo"],
    "zh": ["参考文献", "參考文獻", "外部链接", "外部連結", "参见", "參見", "注释", "註釋", "参考资料", "參考資料",
           "脚注", "腳註", "延伸阅读", "延伸閱讀", "相关条目", "相關條目", "注解", "來源", "来源"],
}  # fmt: skip


def section_titles(scripts: Path) -> dict[str, list[str]]:
    """Titles by language out of pywikibot's noreferences.py; those that are patterns are left out."""
    found: dict[str, list[str]] = {}
    path = next(scripts.rglob("noreferences.py"))
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) in (
            "placeBeforeSections",
            "referencesSections",
        ):
            table: dict[str, Any] = ast.literal_eval(statement.value)
            for language, titles in table.get("wikipedia", table).items():
                found.setdefault(language, []).extend(title for title in titles if not set(title) & set("\\[](?"))
    return found


def rows(mediawiki: Path, scripts: Path) -> list[dict[str, Any]]:
    """One row a wiki, in the order of wikis.tsv."""
    table = (ROOT / "wikixlm" / "data" / "wikis.tsv").read_text(encoding="utf-8")
    codes = [line.split("\t")[0] for line in table.split("\n") if line and not line.startswith("#")][1:]
    output = subprocess.run(
        ["php", Path(__file__).with_suffix(".php"), "--conf", mediawiki / "LocalSettings.php"],
        input="\n".join(codes), stdout=subprocess.PIPE, text=True, check=True,
        env={**os.environ, "MW_INSTALL_PATH": str(mediawiki)},
    ).stdout  # fmt: skip
    wikis = [json.loads(line) for line in output.splitlines()]
    english = next(row for row in wikis if row["code"] == "en")
    sections = section_titles(scripts)
    for row in wikis:
        titles = sections.get(row["code"], []) + MORE_SECTIONS.get(row["code"], [])
        row["sections"] = list(dict.fromkeys(titles))
        if row is not english:
            for kind in ("file", "category", "template", "switches"):
                row[kind] = [name for name in row[kind] if name not in english[kind]]
            row["functions"] = {
                key: [name for name in names if name not in english["functions"].get(key, [])]
                for key, names in row["functions"].items()
            }
            row["functions"] = {key: names for key, names in row["functions"].items() if names}
    return wikis


def main() -> None:
    """Rewrite the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mediawiki", type=Path, required=True, help="an installed MediaWiki, with LocalSettings.php")
    parser.add_argument("--scripts", type=Path, required=True, help="the unpacked package pywikibot-scripts")
    args = parser.parse_args()
    lines = [json.dumps(row, ensure_ascii=False) for row in rows(args.mediawiki, args.scripts)]
    TABLE.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
