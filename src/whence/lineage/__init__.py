"""Closure over rows, snapshots, models, deployments, both ways; reads the store."""

from whence.lineage.blast import Blast, Scope, blast_radius
from whence.lineage.names import aliases, resolve
from whence.lineage.registry import Made, base_names, in_bulk, ingests_of, registry, releases_of, sources_of
from whence.lineage.walk import Node, describe, find, walk

__all__ = [
    "Blast",
    "Made",
    "Node",
    "Scope",
    "aliases",
    "base_names",
    "blast_radius",
    "describe",
    "find",
    "in_bulk",
    "ingests_of",
    "registry",
    "releases_of",
    "resolve",
    "sources_of",
    "walk",
]
