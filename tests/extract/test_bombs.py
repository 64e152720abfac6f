"""Input of a few kB that unpacks to gigabytes: one error line, in the memory that the rules ask for."""

import base64
import bz2
import gzip
import lzma
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import zstandard

from wikixlm.workflow.resources import NEEDS

HEADER = b"<mediawiki><siteinfo></siteinfo>\n"
PAGE = b"<page><title>Bomb</title><ns>0</ns><id>7</id><revision><text>"
# One stream of a gibibyte of zeros, itself compressed twice: compressing it takes half a minute.
GIBIBYTE = {
    "bz2": (
        b"c-jG00IC0Y+H;D^urzdxR11#e<9u|VF}}}%;Q#{zhXR8^gRh&@0@amV4bw;EN9BjUyhly^NrtYV6CimOu!=LRn#(3CIVZYw@{1R_S_Dk^"
        b"*71Z10ObAb?Kes*9R"
    ),
    "xz": (
        b"c-pJD_4Y!nhiDnYv4{UPbC3G1d~=#9I)3)DfXdApr)ThFcR0?yXp?zk0cY#%o2T4d?zf(3+j(_@;kDKr!{x?HpGrhq7^QS18=2j5*uIZN"
        b"QEAePj-A2ZV|mN2f4;X*+`d9>`g`r$GES#X$UpC1-tu!|2FJpUKd+vjbh5|e>okEZwaF)^y?b)&Q0e)%Q6I0hy|+6hnQ8g)%8$3w#r=P_"
        b"efe}MbmF9Q%=YFcQ}l9Y{(OE=e|`N11Lbf2HlIJuYs;<{7Wb3wdG|u{-rrx_vKNbPTsKAgdwh3YtmWsqk1o!h{_53k`^wF4onBsj8)+)6"
        b"`t{{i*S}x0wVWQWe{CIi&NB4(qgTgV!^`XH$`YTho%8Q;^YYo!d{4~op1oIGUv_@WvrErTYRm4Q@AJA=bJ~vUU%cvGi9gS~{%6bPlH8IF"
        b"nv1vAW?%chza%X^?1+C)Sgy`)i>T{j`wKVQl>Vx?AODtL&FtA*xf#)R>oaOJwpnegxZTs_{CDTo`ugaC<=>C1PF<VXsv7F5K7Zy^pZ^wt"
        b"zw2y1esTCz;#YVpoc|lYf6cC(lgs8Edz|df|9#J2`{nf!(`|#w)Mm<^<lcU-d+yvlKhFO9W0}6o{!IP%lZHR?U-D*V?`mLVX5*1CNH{Rc"
        b"7-bArMs?8vKK{Sb^Xg^RZ2SAGNx*4K{?(128Z+uTdcK~s_>!TixJ0jh@w=PiT+@7OzqC*J@vPnX&QU)Ay!x}b"
    ),
}


def zeros(kind: str) -> bytes:
    """A gibibyte of zeros, compressed."""
    if kind in GIBIBYTE:
        return zlib.decompress(zlib.decompress(base64.b85decode(GIBIBYTE[kind])))
    if kind == "gzip":
        return gzip.compress(bytes(64 << 20), 1) * 16
    return zstandard.compress(bytes(1 << 30))


COMPRESS = {"bz2": bz2.compress, "xz": lzma.compress, "gzip": gzip.compress, "zstd": zstandard.compress}


def limited(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`wikixlm` with the memory of the rule extract as the limit of its address space."""
    memory = int(NEEDS["extract"].memory) * 1_000_000
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}));"
    program = f"{limit} from wikixlm.cli import main; main()"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one error line."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


def extract(dump: Path, *options: object) -> str:
    outputs = ["--output", dump.parent / "x.jsonl.zst", "--counts", dump.parent / "x.json"]
    return error_line(limited("extract", "--dump", dump, "--language", "en", *outputs, *options))


@pytest.mark.attack(
    "dump",
    "some kB of bz2, xz, gzip or zstd that unpack to a page of a gibibyte",
    "one line names the file and the page, within the memory that the rule asks for",
)
@pytest.mark.parametrize("kind", COMPRESS)
def test_a_page_of_a_gibibyte(tmp_path: Path, kind: str) -> None:
    dump = tmp_path / "dump"
    dump.write_bytes(COMPRESS[kind](HEADER + PAGE) + zeros(kind))
    line = extract(dump)
    assert f"{dump} is damaged: page 7 (Bomb) has no </page> in" in line


@pytest.mark.attack(
    "dump",
    "a gibibyte of no page at all between a dump's pages",
    "one line names the file, within the rule's memory",
)
@pytest.mark.parametrize("options", [(), ("--shard", 1, "--shards", 2)], ids=["first", "second"])
def test_a_gap_of_a_gibibyte(tmp_path: Path, options: tuple[object, ...]) -> None:
    dump = tmp_path / "dump.bz2"
    dump.write_bytes(bz2.compress(HEADER) + zeros("bz2") * 2)
    assert f"{dump} is damaged" in (line := extract(dump, *options)) and "bytes without a <page>" in line


@pytest.mark.attack(
    "dump",
    "a text of some kB that unpacks to a line of a gibibyte",
    "one line names the file and the byte at which the line begins, within the rule's memory",
)
@pytest.mark.parametrize("kind", COMPRESS)
def test_a_line_of_a_gibibyte(tmp_path: Path, kind: str) -> None:
    text = tmp_path / "text"
    text.write_bytes(COMPRESS[kind](b"one\ntwo") + zeros(kind))
    outputs = ["--output", tmp_path / "x.jsonl.zst", "--counts", tmp_path / "x.json"]
    line = error_line(limited("corpus", "--text", text, "--language", "en", *outputs))
    assert f"{text}: the line at byte 4 is longer than" in line


@pytest.mark.attack(
    "dump",
    "a million nested tags or attributes, entities of entities, a DTD",
    "one line names the file and the page; no entity is expanded",
)
@pytest.mark.parametrize(
    ("page", "message"),
    [
        (b"<a>" * 1_000_000, "page 7 (Bomb) has more than 10,000 tags"),
        (b"<a " + b" ".join(b'a%x=""' % number for number in range(1_000_000)) + b"/>&nope;", "undefined entity"),
        (b"&lol9;", "page 7 (Bomb): undefined entity"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>', "page 7 (Bomb): "),
        (b"&#1114112;", "page 7 (Bomb): "),
    ],
    ids=["nested tags", "attributes", "entity", "DTD", "character"],
)
def test_hostile_xml(tmp_path: Path, page: bytes, message: str) -> None:
    entities = b"".join(b'<!ENTITY lol%d "%s">' % (n, b"&lol%d;" % (n - 1) * 10) for n in range(1, 10))
    header = b'<?xml version="1.0"?><!DOCTYPE mediawiki [<!ENTITY lol0 "lol">' + entities + b"]>" + HEADER
    dump = tmp_path / "dump.xml"
    dump.write_bytes(header + PAGE + page + b"</text></revision></page></mediawiki>")
    line = extract(dump)
    assert str(dump) in line and message in line
