"""Readers of known data sets, on tiny made-up copies of the layouts that their owners distribute."""

from __future__ import annotations

import csv
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from beholder.datasets.checking import check
from beholder.datasets.known import find_dataset, list_datasets, open_dataset
from beholder.datasets.splits import split
from beholder.errors import InputError, RangeError, ReadError


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(abs(hash(path.name)) % 1000)
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(path)


def pictures(root: Path, *names: str) -> None:
    for name in names:
        picture(root / name)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def sheet(path: Path, rows: list[list[object]], name: str = "Sheet1", *, inline: bool = False) -> None:
    """A spreadsheet as Excel writes it, with shared strings, or with strings in the cells."""
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    shared: list[str] = []
    lines = []
    for number, row in enumerate(rows, 1):
        cells = []
        for place, value in enumerate(row):
            at = f"{chr(65 + place)}{number}"
            if value is None:
                continue
            if isinstance(value, str) and inline:
                cells.append(f'<c r="{at}" t="inlineStr"><is><t>{value}</t></is></c>')
            elif isinstance(value, str):
                shared.append(value)
                cells.append(f'<c r="{at}" t="s"><v>{len(shared) - 1}</v></c>')
            else:
                cells.append(f'<c r="{at}"><v>{value}</v></c>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        cover = '<sheet name="cover" sheetId="1" r:id="rId1"/>' if name != "Sheet1" else ""
        listed = f'{cover}<sheet name="{name}" sheetId="2" r:id="rId2"/>'
        archive.writestr("xl/workbook.xml", f'<workbook {main} xmlns:r="{links}"><sheets>{listed}</sheets></workbook>')
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="rId2" Type="{links}/worksheet" Target="worksheets/sheet2.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/worksheets/sheet2.xml", f"<worksheet {main}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        )
        if not inline:
            items = "".join(f"<si><t>{s}</t></si>" for s in shared)
            archive.writestr("xl/sharedStrings.xml", f"<sst {main}>{items}</sst>")


# ------------------------------------------------------------------------------------------------ made-up copies


def make_biq2021(root: Path) -> None:
    pictures(root, "Images/ss01 (1).jpg", "Images/ss02 (2).JPG", "Images/ss03 (3).jpg")
    text(root / "Train (Images and MOS).csv", "Image Name,MOS,,\nss01 (1).jpg,0.8471,,\nss02 (2).jpg,0.2874,,\n")
    text(root / "Test (Images and MOS).csv", "Image Name,MOS\nss03 (3).jpg,0.5\n")


def make_koniq10k(root: Path) -> None:
    pictures(root, "1024x768/1.jpg", "1024x768/2.jpg", "512x384/1.jpg", "512x384/2.jpg", "1024x768/3.jpg")
    text(
        root / "koniq10k_distributions_sets.csv",
        "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set\n1.jpg,0,0,.2,.7,.1,105,77.38,0.5,training\n"
        "2.jpg,0,0,.4,.5,.1,96,68.7,0.58,test\n3.jpg,0,0,.4,.5,.1,96,8.7,0.58,validation\n",
    )
    text(
        root / "koniq10k_scores_and_distributions.csv",
        "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,MOS_zscore\n1.jpg,0,0,.2,.7,.1,105,3.9,0.5,77.38\n",
    )


def make_spaq(root: Path) -> None:
    pictures(root, "TestImage/00001.jpg", "TestImage/00002.jpg")
    head = ["Image name", "MOS", "Brightness", "Colorfulness"]
    rows = [head, ["00001.jpg", 31.17, 50, 40], ["00002.jpg", 85.0, 50, 40]]
    sheet(root / "Annotations" / "MOS and Image attribute scores.xlsx", rows)


def make_clive(root: Path) -> None:
    pictures(root, "Images/trainingImages/t1.bmp", "Images/3.bmp", "Images/4.JPG")
    data = root / "Data"
    data.mkdir(parents=True)
    names = np.array([["t1.bmp"], ["3.bmp"], ["4.JPG"]], dtype=object)
    savemat(data / "AllImages_release.mat", {"AllImages_release": names})
    savemat(data / "AllMOS_release.mat", {"AllMOS_release": np.array([[50.0, 63.9, 25.3]])})
    savemat(data / "AllStdDev_release.mat", {"AllStdDev_release": np.array([[20.0, 18.5, 17.0]])})


def make_flive(root: Path) -> None:
    names = "voc_emotic_ava/AVA__1.jpg", "blur_dataset/motion1.jpg", "EE371R/rq1.jpg"
    pictures(root, *(f"database/{n}" for n in names))
    picture(root / "database/patches/AVA__1.jpg")
    text(root / "database/labels_image.csv", "name,mos\n" + "".join(f"{n},{70 + i}.5\n" for i, n in enumerate(names)))
    text(root / "database/labels640.csv", f"mos_image,name_image,is_valid\n71.5,{names[1]},False\n")


def make_kadid10k(root: Path) -> None:
    pictures(root, "kadid10k/images/I01.png", "kadid10k/images/I01_01_01.png", "kadid10k/images/I01_25_05.png")
    rows = "I01_01_01.png,I01.png,4.57,0.496\nI01_25_05.png,I01.png,2.00,1\n"
    text(root / "kadid10k/dmos.csv", f"dist_img,ref_img,dmos,var\n{rows}")


def make_tid2013(root: Path) -> None:
    pictures(root, "reference_images/I01.BMP", "reference_images/i25.bmp")
    pictures(root, "distorted_images/i01_01_1.bmp", "distorted_images/I25_24_5.bmp")
    text(root / "mos_with_names.txt", "5.51429 I01_01_1.bmp\n0.90000 i25_24_5.bmp\n")
    text(root / "mos_std.txt", "0.13\n0.2\n")


def make_csiq(root: Path) -> None:
    pictures(root, "src_imgs/1600.png", "src_imgs/aerial_city.png")
    pictures(root, "dst_imgs/awgn/1600.AWGN.1.png", "dst_imgs/jpeg2000/aerial_city.jpeg2000.5.png")
    head = [None, None, None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"]
    rows = [[None], ["CSIQ", None], head]
    rows += [[None, None, None, 1600, 1, "noise", 1, 0.05, 0.062]]
    rows += [[None, None, None, "aerial_city", 5, "jpeg 2000", 5, 0.1, 1]]
    sheet(root / "csiq.DMOS.xlsx", rows, "all_by_image", inline=True)


def make_live(root: Path) -> None:
    counts = {"jp2k": 2, "jpeg": 1, "wn": 2, "gblur": 1, "fastfading": 1}
    pictures(root, "refimgs/bikes.bmp", "refimgs/caps.bmp")
    for kind, count in counts.items():
        pictures(root, *(f"{kind}/img{n}.bmp" for n in range(1, count + 1)))
    references = np.array(
        [["bikes.bmp", "caps.bmp", "caps.bmp", "bikes.bmp", "bikes.bmp", "caps.bmp", "caps.bmp"]], object
    )
    savemat(root / "refnames_all.mat", {"refnames_all": references})
    scores = {"dmos_new": np.array([[30.0, 0, 45, 108.5, 60, -2, 20]]), "dmos_std": np.full((1, 7), 9.0)}
    savemat(root / "dmos_realigned.mat", {**scores, "orgs": np.array([[0, 1, 0, 0, 0, 0, 0]])})


def make_pipal(root: Path) -> None:
    pictures(root, "Train_Ref/A0001.bmp", "Distortion_1/A0001_00_00.bmp", "Distortion_2/A0001_06_13.bmp")
    pictures(root, "Val_Ref/A0005.bmp", "Val_Dist/A0005_10_00.bmp")
    text(root / "Train_Label/A0001.txt", "A0001_00_00.bmp,1520.0648\nA0001_06_13.bmp,1000\n")
    text(root / "Val_Label/A0005.txt", "A0005_10_00.bmp,1375\n")


MAKERS = {name[5:]: function for name, function in list(globals().items()) if name.startswith("make_")}

EXPECTED = {  # scores, standard deviations, groups, splits
    "biq2021": ([84.71, 28.74, 50], [None] * 3, [""] * 3, ["train", "train", "test"]),
    "koniq10k": ([77.38, 68.7, 8.7], [12.5, 14.5, 14.5], [""] * 3, ["train", "test", "validation"]),
    "spaq": ([31.17, 85], [None] * 2, [""] * 2, [""] * 2),
    "clive": ([63.9, 25.3], [18.5, 17], [""] * 2, [""] * 2),
    "flive": ([70.5, 71.5, 72.5], [None] * 3, [""] * 3, ["train", "test", "train"]),
    "kadid10k": ([89.25, 25], [12.4, 25], ["I01"] * 2, [""] * 2),
    "tid2013": ([61.27, 10], [None] * 2, ["I01", "I25"], [""] * 2),
    "csiq": ([93.8, 0], [5, 10], ["1600", "aerial_city"], [""] * 2),
    "live": ([70, 55, 0, 40, 100, 80], [9] * 6, ["bikes", "caps", "bikes", "bikes", "caps", "caps"], [""] * 6),
    "pipal": ([63.82, 14.29, 50], [None] * 3, ["A0001", "A0001", "A0005"], ["train", "train", "validation"]),
}


def test_every_known_set_has_a_made_up_copy():
    assert set(MAKERS) == set(EXPECTED) == {card.name for card in list_datasets()}


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_layouts_are_read_whole_and_on_0_to_100(tmp_path, name):
    MAKERS[name](tmp_path)
    found = open_dataset(name, tmp_path)
    scores, spreads, groups, splits = EXPECTED[name]
    assert [s.mos for s in found] == pytest.approx(scores, abs=0.01)
    assert [s.std for s in found] == (spreads if None in spreads else pytest.approx(spreads))
    assert [s.group for s in found] == groups
    assert [s.split for s in found] == splits
    assert check(found, threads=1).complete, "every picture and reference is found"
    assert found.scale == find_dataset(name).scale
    assert open_dataset(name.upper(), tmp_path).digest == found.digest


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_missing_picture_is_for_the_check_and_a_missing_table_an_error(tmp_path, name):
    MAKERS[name](tmp_path / "one")
    found = open_dataset(name, tmp_path / "one")
    gone = found[len(found) - 1].image
    if name != "live":  # whose pictures are counted
        gone.unlink()
        again = open_dataset(name, tmp_path / "one")
        assert len(again) == len(found)
        assert len(check(again, threads=1).missing) == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match=re.escape(find_dataset(name).title)):
        open_dataset(name, tmp_path / "empty")
    with pytest.raises(ReadError, match="not a folder"):
        open_dataset(name, tmp_path / "none")


def test_cards_say_what_a_user_needs():
    cards = list_datasets()
    assert [c.name for c in cards] == sorted(c.name for c in cards)
    for card in cards:
        assert card.scale[0] != card.scale[1]
        assert re.search(r"doi:10\.|arXiv:\d", card.citation), card.name
        assert card.layout
        assert card.measure
        assert card.pictures > 700
    assert {c.name for c in cards if c.better == "lower"} == {"csiq", "live"}
    assert find_dataset("KonIQ-10k").name == "koniq10k"
    assert find_dataset("PaQ-2-PiQ").name == "flive"
    assert find_dataset("LIVE-C").name == "clive"
    with pytest.raises(InputError, match="did you mean 'tid2013'"):
        find_dataset("tid2031")


def test_linked_folders_are_followed_and_circles_end(tmp_path):
    make_biq2021(tmp_path / "far")
    (tmp_path / "here").mkdir()
    for table in (tmp_path / "far").glob("*.csv"):
        table.replace(tmp_path / "here" / table.name)
    (tmp_path / "here" / "Images").symlink_to(tmp_path / "far" / "Images")
    (tmp_path / "far" / "Images" / "back").symlink_to(tmp_path / "here")
    assert check(open_dataset("biq2021", tmp_path / "here"), threads=1).complete


def test_koniq_takes_the_same_opinions_from_both_tables(tmp_path):
    make_koniq10k(tmp_path)
    first = open_dataset("koniq10k", tmp_path)
    (tmp_path / "koniq10k_distributions_sets.csv").unlink()
    second = open_dataset("koniq10k", tmp_path)
    assert first[0].mos == second[0].mos
    assert first[0].std == second[0].std
    assert second.splits == {"": 1}
    assert "1024x768" in str(first[0].image)


def test_types_and_levels_are_those_of_the_distortions(tmp_path):
    from beholder.distortions import find

    make_kadid10k(tmp_path)
    make_tid2013(tmp_path)
    samples = [*open_dataset("kadid10k", tmp_path), *open_dataset("tid2013", tmp_path)]
    assert [(find(s.type).name, s.level) for s in samples] == [
        ("gaussian_blur", 1), ("contrast_change", 5), ("white_noise", 1), (find("tid24").name, 5),
    ]  # fmt: skip
    assert all(s.reference.exists() for s in samples)


def test_live_leaves_out_originals_and_says_what_it_clips(tmp_path):
    make_live(tmp_path)
    found = open_dataset("live", tmp_path)
    assert "2 beyond 0 to 100" in found.notes
    assert [f"{s.image.parent.name}/{s.image.name}" for s in found][:3] == [
        "jp2k/img1.bmp",
        "jpeg/img1.bmp",
        "wn/img1.bmp",
    ]
    (tmp_path / "wn" / "img2.bmp").unlink()
    with pytest.raises(ReadError, match="7 scores for 6 pictures"):
        open_dataset("live", tmp_path)


def test_official_splits_stay_and_contents_are_kept_together(tmp_path):
    make_live(tmp_path)
    drawn = split(open_dataset("live", tmp_path), (0.5, 0, 0.5))
    assert {s.group for s in drawn.of("train")}.isdisjoint(s.group for s in drawn.of("test"))


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "kind", "match"),
    [
        ("kadid10k", "kadid10k/dmos.csv", "4.57", "5.7", RangeError, r"dmos\.csv, line 2: mos is 5\.7"),
        ("kadid10k", "kadid10k/dmos.csv", "dist_img", "image", ReadError, "no column 'dist_img'"),
        ("kadid10k", "kadid10k/dmos.csv", "I01_25_05", "X", ReadError, "line 3: 'X.png' is not a name"),
        ("tid2013", "mos_with_names.txt", "0.90000 ", "", ReadError, "line 2: expected a score and a name"),
        ("tid2013", "mos_with_names.txt", "5.51429", "five", InputError, "line 1: mos is 'five'"),
        ("biq2021", "Test (Images and MOS).csv", "0.5", "0,5", InputError, "line 2: 3 cells under 2 columns"),
        ("pipal", "Val_Label/A0005.txt", "1375", "3000", RangeError, "outside the scale of 850 to 1900"),
        ("koniq10k", "koniq10k_distributions_sets.csv", "validation", "trial", InputError, "split is 'trial'"),
    ],
)
def test_faults_of_the_tables_are_told(tmp_path, name, file, old, new, kind, match):
    MAKERS[name](tmp_path)
    path = tmp_path / file
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(kind, match=match):
        open_dataset(name, tmp_path)


def test_damaged_spreadsheets_and_matlab_files(tmp_path):
    make_spaq(tmp_path)
    book = tmp_path / "Annotations" / "MOS and Image attribute scores.xlsx"
    whole = book.read_bytes()
    book.write_bytes(whole[:100])
    with pytest.raises(ReadError, match="cannot be read"):
        open_dataset("spaq", tmp_path)
    sheet(book, [["other", "cells"]])
    with pytest.raises(ReadError, match="no column 'Image name'"):
        open_dataset("spaq", tmp_path)
    make_clive(tmp_path)
    scores = tmp_path / "Data" / "AllMOS_release.mat"
    savemat(scores, {"AllMOS_release": np.zeros((1, 2))})
    with pytest.raises(ReadError, match="3, 2, 3 values"):
        open_dataset("clive", tmp_path)
    savemat(scores, {"other": np.zeros((1, 3))})
    with pytest.raises(ReadError, match="no variable 'AllMOS_release'"):
        open_dataset("clive", tmp_path)
    scores.write_bytes(b"nonsense" * 40)
    with pytest.raises(ReadError, match="MATLAB"):
        open_dataset("clive", tmp_path)


@pytest.mark.data
@pytest.mark.parametrize(("name", "file"), [("kadid10k", "KADID10k.csv"), ("pipal", "PIPAL.csv")])
def test_published_scores_lie_within_the_declared_scale(data, name, file):
    with (data / "mos" / file).open(newline="") as rows:
        scores = [float(list(r.values())[2]) for r in csv.DictReader(rows)]
    low, high = find_dataset(name).scale
    assert low <= min(scores)
    assert max(scores) <= high
    assert max(scores) - min(scores) > 0.8 * (high - low)


@pytest.mark.data
def test_kadids_column_var_holds_standard_deviations(data):
    """Grades are whole numbers from 1 to 5, so that no variance can be below that of the two grades beside the mean."""
    with (data / "mos" / "KADID10k.csv").open(newline="") as rows:
        pairs = [(float(r["dmos"]), float(r["std"])) for r in csv.DictReader(rows)]
    least = [(m % 1) * (1 - m % 1) for m, _ in pairs]
    assert all(s**2 >= v - 0.01 for (_, s), v in zip(pairs, least, strict=True))
    assert any(abs(s**2 - v) < 0.001 and abs(s - v) > 0.1 for (_, s), v in zip(pairs, least, strict=True))
