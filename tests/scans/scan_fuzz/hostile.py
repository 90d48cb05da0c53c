"""Element values that are wrong, absurd or meant to harm: (tag, VR, values); ints are US."""

_NUMBERS = (0, 1, 2, 3, 7, 8, 12, 15, 16, 17, 32, 64, 255, 32767, 32768, 65535)
_DECIMALS = (
    b"",
    b"0 ",
    b"-1",
    b"nan ",
    b"inf ",
    b"1e400 ",
    b"1e308 ",
    b"1e-320",
    b"1,5 ",
    b"x ",
    b"-0",
)
_PAIRS = (
    b"0\\0 ",
    b"-1\\1 ",
    b"1 ",
    b"1\\1\\1 ",
    b"nan\\nan ",
    b"1e300\\1 ",
    b"1e-9\\1 ",
    b"0.7\\0.8 ",
    b"",
)
_COUNTS = (b"0 ", b"-1", b"1 ", b"2 ", b"3 ", b"1000000000", b"2147483648", b"1.5 ", b"nan ", b"")
_TEXTS = (b"", b"x ", b"\\", b"A" * 300, b"\x00\xff\x1b$B", b"../../../etc/passwd ", b"NaN ")
_UIDS = (
    b"1.2.3\x00",
    b"",
    b"1.2.840.10008.5.1.4.1.1.4\x00",
    b"1.2.840.10008.5.1.4.1.1.66.4\x00",
    b"x" * 90,
)
_POINTS = (
    *(
        b"0\\0\\0 ",
        b"nan\\0\\0 ",
        b"inf\\0\\0",
        b"1e308\\0\\0",
        b"1\\2 ",
        b"1\\2\\3\\4 ",
        b"",
        b"a\\b\\c ",
    ),
    *(b"12.5\\-20\\7", b"40\\20\\9.5"),
)
_AXES = (
    *(b"1\\0\\0\\0\\1\\0 ", b"0\\0\\0\\0\\0\\0 ", b"1\\0\\0\\1\\0\\0 ", b"nan\\0\\0\\0\\1\\0 "),
    *(
        b"1\\0\\0\\0.7\\0.7\\0 ",
        b"2\\0\\0\\0\\2\\0 ",
        b"1\\0\\0\\0\\1 ",
        b"",
        b"0\\1\\0\\0\\0\\-1",
        b"1e9\\0\\0\\0\\1e9\\0 ",
    ),
)
_PHOTOMETRIC = (
    b"MONOCHROME1 ",
    b"RGB ",
    b"PALETTE COLOR ",
    b"YBR_FULL",
    b"",
    b"MONOCHROME2 ",
    b"XYZ ",
)

VALUES: tuple[tuple[int, str, tuple[int | bytes, ...]], ...] = (
    (0x00280010, "US", _NUMBERS),  # Rows
    (0x00280011, "US", _NUMBERS),  # Columns
    (0x00280002, "US", _NUMBERS),  # SamplesPerPixel
    (0x00280100, "US", _NUMBERS),  # BitsAllocated
    (0x00280101, "US", _NUMBERS),  # BitsStored
    (0x00280102, "US", _NUMBERS),  # HighBit
    (0x00280103, "US", _NUMBERS),  # PixelRepresentation
    (0x00280006, "US", _NUMBERS),  # PlanarConfiguration
    (0x00280008, "IS", _COUNTS),  # NumberOfFrames
    (0x00280004, "CS", _PHOTOMETRIC),
    (0x00281052, "DS", _DECIMALS),  # RescaleIntercept
    (0x00281053, "DS", _DECIMALS),  # RescaleSlope
    (0x00281054, "LO", _TEXTS),  # RescaleType
    (0x00280030, "DS", _PAIRS),  # PixelSpacing
    (0x00180050, "DS", _DECIMALS),  # SliceThickness
    (0x00180088, "DS", _DECIMALS),  # SpacingBetweenSlices
    (0x00200032, "DS", _POINTS),  # ImagePositionPatient
    (0x00200037, "DS", _AXES),  # ImageOrientationPatient
    (0x00200013, "IS", _COUNTS),  # InstanceNumber
    (0x0020000E, "UI", _UIDS),  # SeriesInstanceUID
    (0x00200052, "UI", _UIDS),  # FrameOfReferenceUID
    (0x00080018, "UI", _UIDS),  # SOPInstanceUID
    (0x00080016, "UI", _UIDS),  # SOPClassUID
    (0x00080060, "CS", (b"MR", b"PT", b"SEG ", b"RTSTRUCT", b"", b"\xff\xff", b"CT\\MR ")),
    (0x00080008, "CS", (b"DERIVED\\SECONDARY ", b"LOCALIZER ", b"", b"ORIGINAL\\PRIMARY\\MOSAIC ")),
    (0x00080005, "CS", (b"ISO_IR 999", b"ISO 2022 IR 87", b"\\ISO 2022 IR 149 ", b"\xff\xff", b"")),
    (0x0008103E, "LO", _TEXTS),  # SeriesDescription
    (0x00201041, "DS", _DECIMALS),  # SliceLocation
    (0x00181120, "DS", _DECIMALS),  # GantryDetectorTilt
    (0x00280120, "US", _NUMBERS),  # PixelPaddingValue
    (0x7FE00010, "OW", (b"", b"\x01", b"\x00" * 30, b"\xff" * 10_000)),  # PixelData
    (0x7FE00008, "OF", (b"\x00\x00\xc0\x7f" * 30, b"")),  # FloatPixelData
    (0x52009229, "SQ", (b"",)),  # SharedFunctionalGroupsSequence
    (0x52009230, "SQ", (b"", b"\xfe\xff\x00\xe0\x00\x00\x00\x00")),  # PerFrameFunctionalGroups
    (0x0062000B, "US", _NUMBERS),  # ReferencedSegmentNumber
    (0x00620001, "CS", (b"FRACTIONAL", b"LABELMAP", b"", b"X ")),  # SegmentationType
    (0x00620002, "SQ", (b"",)),  # SegmentSequence
    (0x30060042, "CS", (b"POINT ", b"OPEN_PLANAR ", b"", b"CLOSED_PLANAR_XOR ")),
    (0x30060050, "DS", (*_POINTS, *_AXES, b"1e9\\1e9\\1e9\\" * 3 + b"0\\0\\0 ")),  # ContourData
    (0x30060046, "IS", _COUNTS),  # NumberOfContourPoints
    (0x30060084, "IS", _COUNTS),  # ReferencedROINumber
    (0x00041500, "CS", (b"..\\..\\ETC\\PASSWD ", b"", b"/ETC/PASSWD ", b"NONE", b"\x00\x00")),
    (0x00041430, "CS", (b"IMAGE ", b"PATIENT ", b"", b"PRIVATE ")),
    (0x00041420, "UL", (b"\x00" * 4, b"\xff" * 4)),  # OffsetOfReferencedLowerLevelDirectoryEntity
)
