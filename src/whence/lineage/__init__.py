"""Closure over rows, snapshots, models, deployments, both ways; reads the store."""

from whence.lineage.blast import Blast, Scope, blast_radius
from whence.lineage.names import aliases, resolve
from whence.lineage.walk import Node, describe, find, walk

__all__ = ["Blast", "Node", "Scope", "aliases", "blast_radius", "describe", "find", "resolve", "walk"]
