"""Maps of local quality: against scikit-image and the metric that they belong to."""

import numpy as np
import pytest
from patterns import degrade, photograph
from skimage.metrics import structural_similarity

import beholder as bh
from beholder.arrays import LUMA_FULL
from beholder.datasets.maps import KINDS, local_similarity
from beholder.errors import InputError


@pytest.fixture(scope="module")
def pair():
    reference = photograph("astronaut")[100:260, 120:300]
    return degrade(reference, "noise", 3), reference


def test_ssim_is_scikit_images(pair):
    x, y = (a @ np.array(LUMA_FULL) / 255 for a in pair)
    _, every = structural_similarity(
        x, y, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    found = local_similarity(*pair)
    assert found.shape == pair[0].shape[:2]
    np.testing.assert_allclose(found[5:-5, 5:-5], np.clip(every[5:-5, 5:-5], 0, 1) * 100, atol=0.01)
    value = bh.metric("ssim:y")(*(p.transpose(2, 0, 1)[None] for p in pair))[0]
    assert found[5:-5, 5:-5].mean() / 100 == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_tell_where_it_is_worse(pair, kind):
    image = pair[1].copy()
    image[40:80, 40:80] = pair[0][40:80, 40:80]
    found = local_similarity(image, pair[1], kind)
    assert found.dtype == np.float32
    assert found[95:, 95:] == pytest.approx(100, abs=1e-3)
    assert found[45:75, 45:75].mean() < 95
    assert local_similarity(pair[1], pair[1], kind).min() == pytest.approx(100, abs=1e-3)


def test_another_kind_is_told(pair):
    with pytest.raises(InputError, match="a map is one of ssim, gmsd"):
        local_similarity(*pair, "vsi")
