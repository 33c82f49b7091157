"""Whether the sentences of a report are language: unseen trigrams, broken forms, comparisons with an earlier image.

The words are cleaned as the model's vocabulary is. A sentence counts once, however many faults it has of a kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rrg.labels.broken_forms import BROKEN_FORMS, LONE_WORD, broken_forms
from rrg.labels.comparisons import has_comparison


@dataclass(frozen=True)
class SentenceQuality:
    """Counts of the sentences of a system."""

    sentences: int
    unseen_trigrams: int | None
    """Sentences with a trigram that no report of the train split or of `extra` has; None without a train split."""
    comparisons: int
    """Sentences that compare with an earlier image (`rrg.labels.comparisons`)."""
    broken: dict[str, int]
    """Kind of a broken form -> sentences. The train reports have some too: typing errors and removed passages."""

    @property
    def unseen_share(self) -> float | None:
        """Share of the sentences with an unseen trigram."""
        return None if self.unseen_trigrams is None or not self.sentences else self.unseen_trigrams / self.sentences


def sentence_quality(
    texts: Iterable[str], clean: Callable[[str], str], known: frozenset[tuple[str, ...]]
) -> SentenceQuality:
    """Count the faults of the sentences of texts.

    Args:
        texts: Reports of a system.
        clean: A cleaner (`rrg.data.text.CLEANERS`).
        known: `trigrams` of the training reports; empty where there are none.
    """
    sentences = [sentence for text in texts for sentence in cleaned_sentences(text, clean)]
    unseen = sum(not known.issuperset(sentence_trigrams(sentence)) for sentence in sentences)
    kinds = [kind for sentence in sentences for kind in broken_forms(sentence)]
    return SentenceQuality(
        sentences=len(sentences),
        unseen_trigrams=unseen if known else None,
        comparisons=sum(has_comparison(" ".join(sentence)) for sentence in sentences),
        broken={kind: kinds.count(kind) for kind in (*BROKEN_FORMS, LONE_WORD)},
    )


def trigrams(texts: Iterable[str], clean: Callable[[str], str]) -> frozenset[tuple[str, ...]]:
    """The trigrams of the sentences of all texts."""
    sentences = {sentence for text in texts for sentence in cleaned_sentences(text, clean)}
    return frozenset(trigram for sentence in sentences for trigram in sentence_trigrams(sentence))


def sentence_trigrams(sentence: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The trigrams of a sentence with its two boundaries; of one word, the only one."""
    words = ("", *sentence, "")
    return zip(words, words[1:], words[2:], strict=False)


def cleaned_sentences(text: str, clean: Callable[[str], str]) -> Iterator[tuple[str, ...]]:
    """The sentences of a text as cleaned words, without the full stop; empty ones are left out."""
    for sentence in f" {clean(text)} ".split(" . "):
        if words := tuple(sentence.split()):
            yield words
