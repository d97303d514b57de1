"""Distortions with levels: training, tests, studies and restoration use the same ones."""

from beholder.distortions import biterrors as _biterrors
from beholder.distortions import blur as _blur  # importing a file registers its distortions
from beholder.distortions import brightness as _brightness
from beholder.distortions import camera as _camera
from beholder.distortions import colour as _colour
from beholder.distortions import compression as _compression
from beholder.distortions import noise as _noise
from beholder.distortions import sharpness as _sharpness
from beholder.distortions import spatial as _spatial
from beholder.distortions import tid as _tid
from beholder.distortions import transmission as _transmission
from beholder.distortions.chains import distort, draw_chain, list_distortions
from beholder.distortions.registry import Distortion, find

__all__ = ["Distortion", "distort", "draw_chain", "find", "list_distortions"]

del _biterrors, _blur, _brightness, _camera, _colour, _compression, _noise, _sharpness, _spatial, _tid, _transmission
