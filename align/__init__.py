"""Time and signal: clocks, resampling, windows, splits. Pure but for `stage`."""
