"""The readers of the known data sets, one each, for the folders as their owners distribute them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from beholder.datasets.known import Folder, Reading, known
from beholder.datasets.records import Record, read_records, read_sheet
from beholder.distortions.registry import KADID, TID
from beholder.errors import ReadError


def _column(path: Path, row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        raise ReadError(f"{path.name} has no column {name!r}, only {', '.join(row)}; is it the data set's own?")
    return row[name]


def _mat(path: Path, name: str) -> list[Any]:
    """A vector of a MATLAB file: numbers, or the texts of a cell array."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        held = loadmat(path)
    except (OSError, ValueError, NotImplementedError, MatReadError) as error:
        raise ReadError(f"{path.name} cannot be read as a MATLAB file: {error}; get it anew") from error
    if name not in held:
        raise ReadError(f"{path.name} holds no variable {name!r}; is it the data set's own?")
    return [v if np.isscalar(v) else np.asarray(v).item() for v in np.asarray(held[name]).ravel()]


# ------------------------------------------------------------------------------------------------ photographs


@known(
    "biq2021",
    title="BIQ2021",
    citation="Ahmed and Asif 2022, BIQ2021: a large-scale blind image quality assessment database, "
    "doi:10.1117/1.JEI.31.5.053010",
    pictures=12_000,
    scale=(0, 1),
    measure="mean opinion score",
    layout="Images/*.jpg, 'Train (Images and MOS).csv', 'Test (Images and MOS).csv'",
    splits="10,000 train, 2,000 test",
)
def _biq2021(folder: Folder) -> Reading:
    records: list[Record] = []
    table = ""
    for split in ("train", "test"):
        path = folder.table(f"{split} (Images and MOS).csv")
        table = path.name
        for line, row in read_records(path):
            image = folder.picture(_column(path, row, "Image Name"), "Images")
            records.append((line, {"image": image, "mos": _column(path, row, "MOS"), "split": split}))
    return Reading(records, table, "official split without validation pictures")


@known(
    "koniq10k",
    title="KonIQ-10k",
    citation="Hosu, Lin, Sziranyi and Saupe 2020, KonIQ-10k: An Ecologically Valid Database for Deep Learning of Blind "
    "Image Quality Assessment, doi:10.1109/TIP.2020.2967829",
    pictures=10_073,
    scale=(0, 100),
    measure="mean opinion score after screening, z-scored and rescaled: the column MOS of the table with sets, "
    "MOS_zscore of the other; not the plain MOS of 1 to 5",
    layout="1024x768/*.jpg (or 512x384), koniq10k_distributions_sets.csv (or koniq10k_scores_and_distributions.csv)",
    splits="7,058 train, 1,000 validation, 2,015 test, in the table with sets",
    aliases=("koniq",),
)
def _koniq10k(folder: Folder) -> Reading:
    path = folder.table("koniq10k_distributions_sets.csv", "koniq10k_scores_and_distributions.csv")
    with_sets = "sets" in path.name.lower()
    records: list[Record] = []
    for line, row in read_records(path):
        image = folder.picture(_column(path, row, "image_name"), "1024x768", "512x384")
        cells = {"image": image, "mos": _column(path, row, "MOS" if with_sets else "MOS_zscore")}
        grades = row.get("SD")  # on the five grades, which are 25 points apart
        cells["std"] = float(grades) * 25 if grades else None
        cells["split"] = row.get("set", "")
        records.append((line, cells))
    return Reading(records, path.name, "" if with_sets else "this table has no official split")


@known(
    "spaq",
    title="SPAQ",
    citation="Fang, Zhu, Zeng, Ma and Wang 2020, Perceptual Quality Assessment of Smartphone Photography, "
    "doi:10.1109/CVPR42600.2020.00373",
    pictures=11_125,
    scale=(0, 100),
    measure="mean opinion score",
    layout="TestImage/*.jpg, 'Annotations/MOS and Image attribute scores.xlsx'",
)
def _spaq(folder: Folder) -> Reading:
    names = "MOS and Image attribute scores", "MOS_and_Image_attribute_scores"
    path = folder.table(*(n + ".xlsx" for n in names), *(n + ".csv" for n in names))
    rows = read_records(path) if path.suffix.lower() == ".csv" else read_sheet(path, heading="Image name")
    records: list[Record] = [
        (line, {"image": folder.picture(_column(path, row, "Image name"), "TestImage"), "mos": row.get("MOS")})
        for line, row in rows
    ]
    return Reading(records, path.name)


@known(
    "clive",
    title="LIVE In the Wild (CLIVE)",
    citation="Ghadiyaram and Bovik 2016, Massive Online Crowdsourced Study of Subjective and Objective Picture "
    "Quality, doi:10.1109/TIP.2015.2500021",
    pictures=1_162,
    scale=(0, 100),
    measure="mean opinion score",
    layout="Images/*, Data/AllImages_release.mat, Data/AllMOS_release.mat, Data/AllStdDev_release.mat",
    licence="use, copying, changing and distribution granted without fee when its notice is kept and the source named",
    aliases=("livec", "livechallenge", "liveinthewild"),
)
def _clive(folder: Folder) -> Reading:
    path = folder.table("AllMOS_release.mat")
    names = [str(n) for n in _mat(folder.table("AllImages_release.mat"), "AllImages_release")]
    scores = _mat(path, "AllMOS_release")
    spreads = _mat(folder.table("AllStdDev_release.mat"), "AllStdDev_release")
    if not len(names) == len(scores) == len(spreads):
        raise ReadError(f"{path.name} and its neighbours hold {len(names)}, {len(scores)}, {len(spreads)} values")
    records: list[Record] = []
    for place, (name, score, spread) in enumerate(zip(names, scores, spreads, strict=True), 1):
        if not re.fullmatch(r"t\d+\.bmp", name, re.IGNORECASE):  # seven examples that trained the observers
            records.append((place, {"image": folder.picture(name, "Images"), "mos": score, "std": spread}))
    return Reading(records, path.name, "without the seven pictures that the observers were trained with")


@known(
    "flive",
    title="FLIVE (PaQ-2-PiQ)",
    citation="Ying, Niu, Gupta, Mahajan, Ghadiyaram and Bovik 2020, From Patches to Pictures (PaQ-2-PiQ): Mapping the "
    "Perceptual Space of Picture Quality, arXiv:1912.10088",
    pictures=39_810,
    scale=(0, 100),
    measure="mean opinion score of whole pictures",
    layout="voc_emotic_ava/*, blur_dataset/*, EE371R/*, labels_image.csv (name, mos); labels640.csv where it is there",
    splits="test: the pictures of labels640.csv, larger than 640 pixels; the others train",
    aliases=("livefb", "paq2piq"),
)
def _flive(folder: Folder) -> Reading:
    path = folder.table("labels_image.csv")
    large = folder.table_if_any("labels640.csv", "labels>640.csv")
    tests = {_column(large, row, "name_image") for _, row in read_records(large)} if large else set()
    records: list[Record] = []
    for line, row in read_records(path):
        name = _column(path, row, "name")
        above, _, file = name.rpartition("/")
        cells = {"image": folder.picture(file, *filter(None, [above.rpartition("/")[2]])), "mos": row.get("mos")}
        records.append((line, {**cells, "split": ("test" if name in tests else "train") if tests else ""}))
    return Reading(records, path.name, "" if tests else "labels640.csv is not there: no official split")


# ------------------------------------------------------------------------------------------------ made distortions


@known(
    "kadid10k",
    title="KADID-10k",
    citation=KADID,
    pictures=10_125,
    scale=(1, 5),
    measure="the column dmos, which in spite of its name is higher for better pictures",
    layout="images/*.png, dmos.csv (dist_img, ref_img, dmos, var)",
    aliases=("kadid",),
)
def _kadid10k(folder: Folder) -> Reading:
    path = folder.table("dmos.csv")
    records: list[Record] = []
    for line, row in read_records(path):
        name, reference = _column(path, row, "dist_img"), _column(path, row, "ref_img")
        parts = re.fullmatch(r"I(\d+)_(\d+)_(\d+)\.png", name, re.IGNORECASE)
        if parts is None:
            raise ReadError(f"{path.name}, line {line}: {name!r} is not a name such as I01_02_03.png")
        cells = {"image": folder.picture(name, "images"), "mos": _column(path, row, "dmos"), "std": row.get("var")}
        cells |= {"reference": folder.picture(reference, "images"), "group": Path(reference).stem.upper()}
        records.append((line, {**cells, "type": f"kadid{int(parts[2]):02d}", "level": parts[3]}))
    return Reading(records, path.name, "the column var holds standard deviations, as its values show")


@known(
    "tid2013",
    title="TID2013",
    citation=TID,
    pictures=3_000,
    scale=(0, 9),
    measure="mean opinion score",
    layout="distorted_images/*.bmp, reference_images/*.bmp, mos_with_names.txt",
)
def _tid2013(folder: Folder) -> Reading:
    path = folder.table("mos_with_names.txt")
    records: list[Record] = []
    for line, (score, name) in _pairs(path):
        parts = re.fullmatch(r"i(\d+)_(\d+)_(\d)\.bmp", name, re.IGNORECASE)
        if parts is None:
            raise ReadError(f"{path.name}, line {line}: {name!r} is not a name such as I01_02_3.bmp")
        cells = {"image": folder.picture(name, "distorted_images"), "mos": score, "group": f"I{parts[1]}"}
        cells["reference"] = folder.picture(f"I{parts[1]}.BMP", "reference_images")
        records.append((line, {**cells, "type": f"tid{parts[2]}", "level": parts[3]}))
    return Reading(records, path.name, "mos_std.txt is not read: it holds deviations of the means, not of the opinions")


def _pairs(path: Path, separator: str | None = None) -> Iterator[tuple[int, tuple[str, str]]]:
    """Lines of two words."""
    for line, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = [w.strip() for w in text.split(separator)]
        if len(words) == 2:
            yield line, (words[0], words[1])
        elif text.strip():
            raise ReadError(f"{path.name}, line {line}: expected a score and a name, got {text[:60]!r}")


_CSIQ = {
    "noise": ("awgn", "AWGN"), "awgn": ("awgn", "AWGN"), "blur": ("blur", "BLUR"), "contrast": ("contrast", "contrast"),
    "fnoise": ("fnoise", "fnoise"), "jpeg": ("jpeg", "JPEG"), "jpeg 2000": ("jpeg2000", "jpeg2000"),
    "jpeg2000": ("jpeg2000", "jpeg2000"),
}  # fmt: skip


@known(
    "csiq",
    title="CSIQ",
    citation="Larson and Chandler 2010, Most apparent distortion: full-reference image quality assessment and the role "
    "of strategy, doi:10.1117/1.3267105",
    pictures=866,
    scale=(1, 0),
    measure="difference mean opinion score",
    layout="src_imgs/*.png, dst_imgs/<type>/*.png, csiq.DMOS.xlsx (sheet all_by_image)",
)
def _csiq(folder: Folder) -> Reading:
    path = folder.table("csiq.DMOS.xlsx")
    records: list[Record] = []
    for line, row in read_sheet(path, "all_by_image", heading="dst_type"):
        if "dmos" not in row:  # a remark below the table
            continue
        content = row.get("image", "")
        content = f"{content:.0f}" if isinstance(content, float) else content
        kind, level = str(_column(path, row, "dst_type")).lower(), row.get("dst_lev")
        if kind not in _CSIQ or not isinstance(level, float):
            raise ReadError(f"{path.name}, row {line}: no distortion is called {kind!r} at level {level!r}")
        place, word = _CSIQ[kind]
        name = f"{content}.{word}.{level:.0f}.png"
        cells = {"image": folder.picture(name, place), "mos": row["dmos"], "std": row.get("dmos_std"), "type": place}
        cells |= {"reference": folder.picture(f"{content}.png", "src_imgs"), "group": content, "level": level}
        records.append((line, cells))
    return Reading(records, path.name)


_LIVE = (("jp2k", 227), ("jpeg", 233), ("wn", 174), ("gblur", 174), ("fastfading", 174))


@known(
    "live",
    title="LIVE (release 2)",
    citation="Sheikh, Sabir and Bovik 2006, A Statistical Evaluation of Recent Full Reference Image Quality Assessment "
    "Algorithms, doi:10.1109/TIP.2006.881959",
    pictures=779,
    scale=(100, 0),
    measure="difference mean opinion score, realigned where dmos_realigned.mat is there",
    layout="jp2k, jpeg, wn, gblur, fastfading/img*.bmp, refimgs/*.bmp, "
    "refnames_all.mat, dmos_realigned.mat (or dmos.mat)",
    aliases=("liveiqa",),
)
def _live(folder: Folder) -> Reading:
    path = folder.table("dmos_realigned.mat", "dmos.mat")
    realigned = "realigned" in path.name.lower()
    scores = _mat(path, "dmos_new" if realigned else "dmos")
    spreads = _mat(path, "dmos_std") if realigned else [None] * len(scores)
    originals = _mat(path, "orgs")
    references = [str(n) for n in _mat(folder.table("refnames_all.mat"), "refnames_all")]
    names = [(kind, f"img{n}.bmp") for kind, count in _live_counts(folder, len(scores)) for n in range(1, count + 1)]
    if len({len(v) for v in (scores, spreads, originals, references, names)}) != 1:
        raise ReadError(f"{path.name} holds {len(scores)} scores for {len(names)} pictures and {len(references)} names")
    records: list[Record] = []
    beyond = 0
    for place, (kind, name) in enumerate(names):
        if originals[place]:
            continue
        score = float(scores[place])
        beyond += not 0 <= score <= 100
        cells = {"image": folder.picture(name, kind), "mos": min(max(score, 0.0), 100.0), "std": spreads[place]}
        cells |= {"reference": folder.picture(references[place], "refimgs"), "type": kind}
        records.append((place + 1, {**cells, "group": Path(references[place]).stem}))
    clipped = f"; {beyond} beyond 0 to 100, where the realignment put them, are taken as 0 or 100" if beyond else ""
    return Reading(records, path.name, f"without the undistorted copies{clipped}")


def _live_counts(folder: Folder, total: int) -> list[tuple[str, int]]:
    """Pictures of each type, in the order of the scores."""
    if total == sum(n for _, n in _LIVE):
        return list(_LIVE)
    places = [p.parent.name.lower() for p in folder.files(r"img\d+\.bmp")]
    return [(kind, places.count(kind)) for kind, _ in _LIVE]


@known(
    "pipal",
    title="PIPAL",
    citation="Gu et al. 2020, PIPAL: a Large-Scale Image Quality Assessment Dataset for Perceptual Image Restoration, "
    "arXiv:2007.12142",
    pictures=23_200,
    scale=(850, 1900),
    measure="Elo rating, which has no ends: 850 to 1900, declared here, holds all published ratings (917 to 1836)",
    layout="Train_Ref/*.bmp, distorted pictures in any folders, Train_Label/*.txt (Val_Label, Test_Label alike)",
    splits="train, and validation or test where their labels are there",
)
def _pipal(folder: Folder) -> Reading:
    records: list[Record] = []
    tables = [p for p in folder.files(r"a\d+\.txt") if "label" in p.parent.name.lower()]
    if not tables:
        raise ReadError(f"PIPAL: no Train_Label/A0001.txt below {str(folder.root)!r}; unpack the data set there")
    for path in tables:
        above = path.parent.name.lower()
        split = "validation" if "val" in above else "test" if "test" in above else "train"
        for line, (name, score) in _pairs(path, ","):
            reference = f"{name.partition('_')[0]}.bmp"
            cells = {"image": folder.picture(name), "mos": score, "split": split, "group": Path(reference).stem}
            cells |= {"reference": folder.picture(reference), "type": "_".join(name.split("_")[1:2])}
            records.append((line, cells))
    return Reading(records, f"{tables[0].parent.name}/*.txt")
