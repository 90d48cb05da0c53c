"""Answers series of an Orthanc server with a model of medfs. Research use only."""

from importlib.metadata import version

__version__ = version("medfs-orthanc")
