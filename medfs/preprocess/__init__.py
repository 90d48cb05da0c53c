"""Volume (+ mask) and a preset → Patch: region, one interpolation onto a fixed grid, intensity."""
