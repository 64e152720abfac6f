"""The section of the configuration on what the model's languages share."""

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from wikixlm.config.fields import File, Section, Seed

PIVOT = "en"


class RetrievalPair(NamedTuple):
    """Two languages, and parallel files of them."""

    source: str
    target: str
    files: tuple[str, str]


class Crosslingual(Section):
    """Retrieval of translations; part of the target `all` where there are pairs."""

    retrieval: dict[str, Annotated[list[File], Field(min_length=2, max_length=2)]] = Field(
        description="parallel text by pair of languages, a sentence a line: `{en-el: [ntrex.en, ntrex.el]}`; `el` is "
        "`en-el`"
    )
    seed: Seed = Field(description="of the half of the sentences on which a layer is chosen, and of the intervals")

    def pairs(self, languages: Sequence[str]) -> list[RetrievalPair]:
        """The pairs, in their order.

        Raises:
            ValueError: a pair's languages are not the run's, or a pair is named twice.
        """
        found: dict[frozenset[str], str] = {}
        pairs = []
        for name, (first, second) in self.retrieval.items():
            source, target = self._languages(name, languages)
            other = found.setdefault(frozenset((source, target)), name)
            if other is not name:
                raise ValueError(f"crosslingual.retrieval: {other} and {name} are the same pair; give one of them")
            pairs.append(RetrievalPair(source, target, (first, second)))
        return pairs

    def _languages(self, name: str, languages: Sequence[str]) -> tuple[str, str]:
        for source, target in _readings(name):
            if source in languages and target in languages and source != target:
                return source, target
        accepted = ", ".join(languages)
        raise ValueError(
            f"crosslingual.retrieval: {name} names no two languages of the run ({accepted}), as en-el or el does"
        )


def _readings(name: str) -> Iterator[tuple[str, str]]:
    """The pairs of codes that a name may mean: codes have hyphens, too."""
    yield PIVOT, name
    parts = name.split("-")
    for cut in range(1, len(parts)):
        yield "-".join(parts[:cut]), "-".join(parts[cut:])
