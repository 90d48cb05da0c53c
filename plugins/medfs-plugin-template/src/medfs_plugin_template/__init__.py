"""The smallest plugin for medfs."""
