"""Slices that nobody named: texts about the same thing, found by clustering and called by their most telling words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whence.records import require

MOST = 20
"""topics"""
LEAST = 50
"""texts to a topic, on average"""
FITTED = 50_000
"""texts that topics are made from, at most"""
WORDS = 3
"""in a name"""
SEED = 0


class Topics:
    """Topics of texts, ``topic=word, word, word``: k-means over TF-IDF (scikit-learn), the same each time, each called
    by the words that stand out in it against all texts."""

    def __init__(self, texts: Sequence[str], also: Sequence[str] = ()) -> None:
        """texts: those that make the topics; also: others that are put to one. Raises Unmet without scikit-learn."""
        require("checks", "sklearn")
        from sklearn.cluster import MiniBatchKMeans  # noqa: PLC0415  (seconds, and an extra)
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

        self._of: dict[str, str] = {}
        some = list(dict.fromkeys(texts))
        number = min(MOST, len(some) // LEAST)
        if number < 2:
            return
        told = TfidfVectorizer(sublinear_tf=True, min_df=2, max_df=0.5, max_features=20_000, token_pattern=r"\w{3,}")
        try:
            told.fit(some[:: -(-len(some) // FITTED)])
        except ValueError:  # no word that some texts have and others lack
            return
        fitted = told.transform(some[:: -(-len(some) // FITTED)])
        means = MiniBatchKMeans(number, random_state=SEED, n_init=3, batch_size=4096).fit(fitted)
        words, usual = told.get_feature_names_out(), np.asarray(fitted.mean(axis=0))
        best = np.argsort(usual - means.cluster_centers_, axis=1, kind="stable")[:, :WORDS]
        names = [f"topic={', '.join(words[place] for place in row)}" for row in best]
        every = list(dict.fromkeys([*some, *also]))
        self._of = {text: names[at] for text, at in zip(every, means.predict(told.transform(every)), strict=True)}

    def of(self, text: str) -> tuple[str, ...]:
        """The topic of one of the texts; none where these are too few to have any."""
        return (self._of[text],) if text in self._of else ()
