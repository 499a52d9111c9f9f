"""Closure over rows, snapshots, models, deployments, both ways; reads the store."""

from whence.lineage.blast import Blast, Touched, blast_radius
from whence.lineage.graph import Graph, dark, graph_of, held_rows
from whence.lineage.names import aliases, beside, resolve
from whence.lineage.registry import Made, base_names, ingests_of, registry, releases_of, sources_of
from whence.lineage.walk import Node, describe, find, walk

__all__ = [
    "Blast",
    "Graph",
    "Made",
    "Node",
    "Touched",
    "aliases",
    "beside",
    "base_names",
    "blast_radius",
    "dark",
    "describe",
    "find",
    "graph_of",
    "held_rows",
    "ingests_of",
    "registry",
    "releases_of",
    "resolve",
    "sources_of",
    "walk",
]
