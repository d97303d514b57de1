"""Sizes and modes that the kernels and those who call them share."""

PLAIN, FULL, ROUNDED, STUDIO = 0, 1, 2, 3
"""What a kernel makes of its input: values as they are, BT.601 luma, MATLAB's rgb2gray, studio-range luma."""
TAPS = 10  # a window is this much larger than its output
TILE = 512  # outputs per tile row: the filtered rows of a tile stay in the level-2 cache
TILE_ROWS = 64
LINE = TILE + 64
PITCH = TILE + 16  # a row of the maps; not a power of two, so that rows do not share cache sets
MAP = (TILE_ROWS + TAPS) * PITCH
SSIM_LINES = 20 * PITCH + 2 * LINE  # four rows of the maps and of the result, and one of sums and differences
SSIM_MAP = (TILE_ROWS + 2 * TAPS + 4) * PITCH  # of a tile with the windows around it, in fours of rows
BLOCK = 16384  # values whose squared differences add up in 32 bits without overflow
LUMA_BLOCK = 4096
GMSD_ROWS = 8  # rows that the kernel of gmsd works with at a time


def gmsd_pitch(count: int) -> int:
    """Floats for one of these rows, for pictures whose half has `count` columns."""
    return (2 * count + 2 + 15) // 16 * 16
