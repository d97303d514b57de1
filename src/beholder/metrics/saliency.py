"""Similarity weighted by visual saliency: VSI and SR-SIM."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from beholder.arrays import LUMA_FULL, Array, correlate, gaussian_window, namespace, pad_zeros, positive_power, weighted
from beholder.banks import SALIENCY_SIDE, reduce, reduction, resize, scharr, simple_priors, spectral_residual, stretch
from beholder.metrics.phase import halves, pairs, similarity, tint, weighted_mean
from beholder.metrics.registry import metric

OPPONENT = ((0.06, 0.63, 0.27), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17))
"""L, M and N of R'G'B' (Geusebroek et al. 2001)."""


class _Program(NamedTuple):
    """How a program does what the paper leaves open.

    down, up: how pictures get to 256x256 and saliency back, None for saliency at the full size; border: of `reduce`;
    neutral, origin: of `simple_priors`; plain: whether a negative similarity of chrominance loses its sign.
    """

    down: str | None = "linear"
    up: str | None = "linear"
    border: str = "zeros"
    neutral: bool = False
    origin: int = 1
    plain: bool = False


PROGRAMS = {
    "matlab": _Program(),
    "octave": _Program(down="ends", up="ends"),
    "piq": _Program(down="centres", up="ends", border="edge"),
    "iqa-optimization": _Program(None, None, "none", neutral=True, origin=0, plain=True),
}


def _coloured(x: Array) -> Array:
    """Grey as R = G = B."""
    return x if x.shape[1] == 3 else namespace(x).concat((x, x, x), axis=1)


def _saliency(picture: Array, p: _Program) -> Array:
    height, width = picture.shape[-2:]
    if p.down is None or p.up is None:
        return simple_priors(_coloured(picture), p.neutral, p.origin)
    small = _coloured(resize(picture, SALIENCY_SIDE, SALIENCY_SIDE, kind=p.down))
    return resize(simple_priors(small, p.neutral, p.origin), height, width, kind=p.up)


def _vsi_kernel(image: Any, reference: Any, *, threads: int, program: str = "matlab") -> float | None:
    import numpy as np

    from beholder import strips
    from beholder.kernels import phase

    if program != "matlab":
        return None
    factor = reduction(*image.shape[:2])

    def work(picture: Any) -> tuple[Any, Any]:
        planes = _coloured(phase.reduced(picture, factor))
        return np.concatenate([weighted(planes, row) for row in OPPONENT], axis=1), phase.saliency(picture, factor)

    planes, maps = zip(*strips.run(work, (image, reference), threads), strict=True)
    constants = phase.Constants(1.27, 386.0, 130.0, 0.40, 0.020)
    return phase.compare(np.stack(maps), np.concatenate(planes), constants, threads)


@metric(
    "vsi",
    better="higher",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=3,
    paper="Zhang et al. 2014, VSI: a visual saliency-induced index for perceptual image quality assessment, "
    "doi:10.1109/TIP.2014.2346028",
    presets={name: {"program": name} for name in PROGRAMS if name != "matlab"},
    verified=("", "iqa-optimization", "piq"),
    unverified="octave: the authors' program under Octave, known for one pair of TID2013 alone (0.96405)",
    precision=5e-5,  # the power .02 has an infinite slope at 0; grey's maps of colour are stretched rounding errors
    kernel=_vsi_kernel,
)
def vsi(
    image: Array,
    reference: Array,
    *,
    program: Literal["matlab", "octave", "piq", "iqa-optimization"] = "matlab",
) -> Array:
    """Similarity of saliency, gradients and chrominance, weighted by saliency; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). As the authors' program in MATLAB:
    saliency by simple priors on 256x256 pixels, the maps at about 256 pixels for the shorter side. Grey counts as R = G
    = B. Presets: ``octave``, the same program there, whose ``imresize`` aliases and puts samples elsewhere; ``piq``;
    ``iqa-optimization``, with the saliency at full size, from which published tables were made. A similarity of
    chrominance of exactly 0 has an infinite slope (its power is .02): there rounding decides what a pixel counts, and
    two ways to one value may be 5e-5 apart on pictures of 100 pixels a side.
    """
    xp = namespace(image, reference)
    p = PROGRAMS[program]
    factor = reduction(image.shape[-2], image.shape[-1], even=p.border != "zeros")
    x, y = (reduce(stretch(_saliency(a, p)), factor, p.border) for a in (image, reference))
    small = _coloured(pairs(*(reduce(a, factor, p.border) for a in (image, reference)))) * 255
    luma, *chroma = (weighted(small, row) for row in OPPONENT)
    gradient = similarity(*halves(scharr(luma)), 386.0)
    product = similarity(*halves(chroma[0]), 130.0) * similarity(*halves(chroma[1]), 130.0)
    similar = positive_power(gradient, 0.40) * similarity(x, y, 1.27) * tint(product, 0.020, p.plain)
    return weighted_mean(similar, xp.maximum(x, y))


def _residual_maps(luma: Array) -> Array:
    """SR-SIM's stretched saliency of planes (N, 1, H, W) of 0 to 255."""
    height, width = luma.shape[-2:]
    small = resize(luma, -(-height // 4), -(-width // 4), 0.25, "cubic")
    window = gaussian_window(10, 3.8)
    blurred = correlate(pad_zeros(spectral_residual(small), 4, 5, 4, 5), window, window)
    return resize(stretch(blurred), height, width, None, "cubic")


def _sr_sim_kernel(image: Any, reference: Any, *, threads: int) -> float | None:
    import numpy as np

    from beholder.kernels import phase, residual

    factor = reduction(*image.shape[:2])
    small = (phase.reduced(a, factor, threads).astype(np.float64) for a in (image, reference))
    x, y = (np.ascontiguousarray(weighted(a, LUMA_FULL)[0, 0]) for a in small)
    return residual.sr_sim((x, y), (False, False), threads)[0]


def _sr_sim_tensor(image: Any, reference: Any, gradients: Any, *, threads: int) -> float | None:
    from beholder.kernels import residual

    weights = LUMA_FULL if len(image) == 3 else (1.0,)
    return residual.of_tensors(image, reference, gradients, reduction(*image.shape[1:]), weights, threads)


@metric(
    "sr_sim",
    better="higher",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=5,
    paper="Zhang and Li 2012, SR-SIM: a fast and high performance IQA index based on spectral residual, "
    "doi:10.1109/ICIP.2012.6467149",
    aliases=("srsim",),
    verified=("",),
    kernel=_sr_sim_kernel,
    tensor_kernel=_sr_sim_tensor,
)
def sr_sim(image: Array, reference: Array) -> Array:
    """Similarity of spectral-residual saliency and gradients, weighted by saliency; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). As the authors' program, on luma
    whose shorter side is brought to about 256 pixels, with the saliency worked out at a quarter of that.
    """
    xp = namespace(image, reference)
    factor = reduction(*image.shape[-2:])
    luma = weighted(pairs(*(reduce(a, factor) for a in (image, reference))), LUMA_FULL) * 255
    x, y = halves(_residual_maps(luma))
    gradient = similarity(*halves(scharr(luma)), 225.0)
    return weighted_mean(positive_power(gradient, 0.5) * similarity(x, y, 0.40), xp.maximum(x, y))
