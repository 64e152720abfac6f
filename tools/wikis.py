"""Write wikixlm/data/wikis.tsv, the table of Wikipedias, from pywikibot's family file.

    python tools/wikis.py            # rewrite the table
    python tools/wikis.py --check    # exit 1 if it would change

pywikibot (MIT licence, kept by Wikimedia's community, follows every new, closed and renamed wiki) knows codes, hosts
and aliases, but not database names. Those follow one rule, the code with `_` for `-` and `wiki` appended, with one
exception, a wiki that was renamed after its database was made. Rule and exception were compared with the list of
databases in Wikimedia's own configuration (dblists/wikipedia.dblist): every Wikipedia of that list is in the table.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

TABLE = Path(__file__).parents[1] / "wikixlm" / "data" / "wikis.tsv"
RENAMED = {"be-tarask": "be_x_oldwiki"}
NO_LANGUAGE = {"ten"}  # the wiki of Wikipedia's tenth birthday
# pywikibot's aliases that are no names of the same language: country codes, a deleted wiki, scripts of one wiki.
# They are not accepted, only answered with "did you mean".
HINTS_ONLY = {"dk", "jp", "mo", "zh-cn", "zh-tw"}
HEADER = """\
# The Wikipedias: language code, database name (as in the names of dumps), host, open or closed (read-only),
# other codes that mean the same wiki, and codes that do not but are often written for it.
# Written by tools/wikis.py from pywikibot's family file (MIT licence); do not edit by hand.
code\tdbname\thost\tstatus\taliases\thints
"""


def table() -> str:
    """The table as text, a line a wiki, sorted by code.

    Raises:
        ImportError: pywikibot is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        # Without these pywikibot looks for a user configuration, and complains.
        os.environ.setdefault("PYWIKIBOT_NO_USER_CONFIG", "2")
        os.environ.setdefault("PYWIKIBOT_DIR", folder)
        from pywikibot.families.wikipedia_family import Family
    family = Family()
    aliases = family.code_aliases
    leave_out = NO_LANGUAGE | set(family.test_codes) | set(aliases)
    rows = []
    for code in sorted(set(family.langs) - leave_out):
        others = sorted(alias for alias, target in aliases.items() if target == code and "_" not in alias)
        row = (
            code,
            RENAMED.get(code, f"{code.replace('-', '_')}wiki"),
            family.langs[code],
            "closed" if code in family.closed_wikis else "open",
            " ".join(alias for alias in others if alias not in HINTS_ONLY),
            " ".join(alias for alias in others if alias in HINTS_ONLY),
        )
        rows.append("\t".join(row) + "\n")
    return HEADER + "".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the table is out of date")
    if not parser.parse_args().check:
        TABLE.write_text(table(), encoding="utf-8", newline="\n")
    elif TABLE.read_text(encoding="utf-8") != table():
        sys.exit(f"error: {TABLE} is not what pywikibot says now; run: python tools/wikis.py")


if __name__ == "__main__":
    main()
