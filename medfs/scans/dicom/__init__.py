"""One DICOM series in a folder to `Volume`: headers, then geometry, then pixels."""

from medfs.scans.dicom.series import read_series

__all__ = ["read_series"]
