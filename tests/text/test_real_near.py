"""Near-duplicates on real texts, many with shared openings, by which nothing was chosen (docs/near-duplicates.md)."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from bench.near_duplicates import real, truth

from whence.text.near import clusters, near_duplicates

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize(("name", "least"), [("gpteacher", 1000), ("bitext", 1), ("banking77", 10)])
def test_texts_that_are_alike_are_in_one_cluster(real_data: Path, name: str, least: int) -> None:
    texts = real(name)[:2000]
    wanted, pairs = truth(texts), near_duplicates(pa.array(texts))
    own = clusters(len(texts), pairs).to_pylist()
    assert len(wanted) >= least
    assert sum(own[left] == own[right] for left, right in wanted) >= 0.999 * len(wanted)
    for left, right, jaccard in zip(*(pairs[side].to_pylist() for side in ("left", "right", "jaccard")), strict=True):
        assert wanted[left, right] == jaccard
