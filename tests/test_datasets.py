"""Data sets: tables, splits by content, checks and what they draw."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beholder.datasets import Dataset, Sample, read_table, write_table
from beholder.datasets.checking import Findings, check, count_opinions
from beholder.datasets.drawing import draw_histogram, histogram_lines, summary_lines, to_svg, write_report
from beholder.datasets.hashing import hash_pixels, near_duplicates, near_pairs
from beholder.datasets.known import open_source
from beholder.datasets.splits import group_contents, hold_out, read_split, split, write_split
from beholder.distortions import distort
from beholder.errors import InputError, OutputError, RangeError, ReadError

ROWS = "image,mos,std,group\na.png,5,0.5,x\nb.png,1,1,x\nc.png,3,,y\n"


def table(folder: Path, text: str = ROWS, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def made(count: int, **fields: object) -> Dataset:
    samples = [Sample(Path(f"/data/p{i:03d}.png"), 100 * i / count, **fields) for i in range(count)]  # type: ignore[arg-type]
    return Dataset("made", tuple(samples), (0, 1), "a test", root=Path("/data"))


def picture(path: Path, seed: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return np.asarray(image)


# ------------------------------------------------------------------------------------------------ tables


def test_a_table_is_read_onto_0_to_100(tmp_path):
    data = read_table(table(tmp_path), scale=(1, 5))
    assert [s.mos for s in data] == [100, 0, 50]
    assert [s.std for s in data] == [12.5, 25, None]
    assert [s.group for s in data] == ["x", "x", "y"]
    assert data[0].image == tmp_path / "a.png"
    assert (data.name, data.scale, len(data)) == ("table", (1, 5), 3)


def test_orientation_follows_from_the_scale(tmp_path):
    text = "image,mos,std\na.png,0.25,0.1\nb.png,1,0\n"
    data = read_table(table(tmp_path, text), scale=(1, 0))
    assert [s.mos for s in data] == [75, 0]
    assert data[0].std == pytest.approx(10)


@pytest.mark.parametrize("scale", [(1,), (1, 1), (1, float("nan")), "15x", None, (1, 2, 3)])
def test_a_scale_is_two_different_numbers(tmp_path, scale):
    with pytest.raises(InputError, match="scale must be"):
        read_table(table(tmp_path), scale=scale)


def test_the_scale_has_no_default(tmp_path):
    with pytest.raises(TypeError):
        read_table(table(tmp_path))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("text", "kind", "match"),
    [
        ("image,score\na.png,3\n", InputError, r"no column 'mos'; it has 'image', 'score'"),
        ("image,mos\na.png,3\nb.png,9\n", RangeError, r"line 3: mos is 9, outside the scale of 1 to 5"),
        ("image,mos\na.png,good\n", InputError, r"line 2: mos is 'good', not a number"),
        ("image,mos\na.png,nan\n", InputError, r"line 2: mos is 'nan', not a number"),
        ("image,mos\na.png,0_4\n", InputError, r"line 2: mos is '0_4', not a number"),
        ("image,mos\na.png,\u0663\n", InputError, r"line 2: mos is .*, not a number"),
        ("image,mos\na.png,\n", InputError, r"line 2: mos is empty"),
        ("image,mos\n,3\n", InputError, r"line 2: image is empty"),
        ("image,mos\na.png,3\nb.png,3\n./a.png,4\n", InputError, r"line 4: './a.png' is in line 2 already"),
        ("image,mos,split\na.png,3,trian\n", InputError, r"line 2: split is 'trian'"),
        ("image,mos,std\na.png,3,-1\n", RangeError, r"line 2: std is -1, below 0"),
        ("image,mos\n", InputError, "no rows"),
        ("", InputError, "no rows"),
        ("image,mos\na,b.png,3\n", InputError, r"line 2: 3 cells under 2 columns"),
        ("image,image,mos\na,b,3\n", InputError, r"line 1: the column 'image' is there twice"),
        ("image,mos\n" + "x.png,9\n" * 9, RangeError, r"line 2: .*and 4 more"),
    ],
)
def test_faults_of_a_table_are_told_with_their_lines(tmp_path, text, kind, match):
    with pytest.raises(kind, match=match) as caught:
        read_table(table(tmp_path, text), scale=(1, 5))
    assert "table" in str(caught.value)


def test_keys_of_json_lines_that_are_there_twice_are_told(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"image": "a.png", "mos": 3}\n{"image": "b.png", "mos": 3, "mos": 5}\n')
    with pytest.raises(InputError, match=r"t\.jsonl, line 2: the key 'mos' is there twice; leave one out"):
        read_table(path, scale=(1, 5))


def test_paths_in_bytes_are_told(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    columns = {"image": pa.array([b"a.png"], pa.binary()), "mos": [3.0], "thumbnail": pa.array([b"x"], pa.binary())}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="line 1: image is bytes, not text; write that column as strings"):
        read_table(tmp_path / "t.parquet", scale=(1, 5))


def test_lines_are_counted_as_an_editor_does(tmp_path):
    text = '\ufeffimage,mos\r\n"a\nb.png",3\r\n\r\nc.png,x\r\n'
    with pytest.raises(InputError, match="line 5"):
        read_table(table(tmp_path, text), scale=(1, 5))


def test_a_tables_own_column_names(tmp_path):
    text = "File,Score,,\na.png,3,,\n"
    data = read_table(table(tmp_path, text), scale=(1, 5), columns={"image": "File", "mos": "Score"})
    assert data[0].mos == 50
    with pytest.raises(InputError, match="no column 'Spread'"):
        read_table(table(tmp_path, text), scale=(1, 5), columns={"image": "File", "mos": "Score", "std": "Spread"})
    with pytest.raises(InputError, match="'picture'"):
        read_table(table(tmp_path, text), scale=(1, 5), columns={"picture": "File"})


def test_json_lines_and_their_faults(tmp_path):
    rows = '{"image": "a.png", "mos": 4, "split": "val"}\n\n{"image": "b.png", "mos": null}\n'
    with pytest.raises(InputError, match="line 3: mos is empty"):
        read_table(table(tmp_path, rows, "t.jsonl"), scale=(1, 5))
    data = read_table(table(tmp_path, rows.splitlines()[0], "t.jsonl"), scale=(1, 5))
    assert (data[0].mos, data[0].split) == (75, "validation")
    with pytest.raises(ReadError, match="line 1: not JSON"):
        read_table(table(tmp_path, "{image", "t.jsonl"), scale=(1, 5))
    with pytest.raises(InputError, match="line 1: expected an object"):
        read_table(table(tmp_path, "[1]", "t.jsonl"), scale=(1, 5))


def test_tables_that_cannot_be_read(tmp_path):
    with pytest.raises(ReadError, match="cannot be read"):
        read_table(tmp_path / "none.csv", scale=(1, 5))
    with pytest.raises(InputError, match=r"\.csv.*\.jsonl.*\.parquet"):
        read_table(table(tmp_path, name="t.xls"), scale=(1, 5))
    (tmp_path / "t.csv").write_bytes(b"image,mos\n\xff.png,3\n")
    with pytest.raises(ReadError, match="not UTF-8"):
        read_table(tmp_path / "t.csv", scale=(1, 5))
    (tmp_path / "t.parquet").write_bytes(b"nonsense")
    with pytest.raises(ReadError, match="damaged"):
        read_table(tmp_path / "t.parquet", scale=(1, 5))


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_what_is_written_is_read_again(tmp_path, ending):
    place = tmp_path / "pictures"
    samples = (
        Sample(place / "a, b.png", 100 / 3, 1 / 7, place / "r.png", "g", "train", "kadid01", 2.5),
        Sample(place / "ü.png", 0.0),
    )
    data = Dataset("made", samples, (1, 5), "a test", root=tmp_path)
    write_table(data, tmp_path / "deep" / f"t{ending}")
    again = read_table(tmp_path / "deep" / f"t{ending}", scale=(0, 100))
    assert [
        replace(s, image=s.image.resolve(), reference=s.reference and s.reference.resolve()) for s in again
    ] == list(samples)
    with pytest.raises(InputError, match="written as"):
        write_table(data, tmp_path / "t.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_table(data, tmp_path / "file" / f"t{ending}")


def test_the_digest_is_of_pictures_opinions_and_splits_in_any_order():
    data = made(10)
    shuffled = replace(data, samples=tuple(random.Random(1).sample(data.samples, 10)))
    assert data.digest == shuffled.digest
    assert len(data.digest) == 12
    others = {
        replace(data, samples=data.samples[1:]).digest,
        replace(data, samples=(replace(data[0], mos=1.0), *data.samples[1:])).digest,
        replace(data, samples=(replace(data[0], split="test"), *data.samples[1:])).digest,
        replace(data, samples=(replace(data[0], image=Path("/data/q.png")), *data.samples[1:])).digest,
    }
    assert len(others | {data.digest}) == 5
    moved = [replace(s, image=Path("/other") / s.image.name) for s in data]
    assert replace(data, samples=tuple(moved), root=Path("/other")).digest == data.digest


def test_splits_of_a_data_set_are_taken_by_name():
    data = replace(
        made(3), samples=tuple(replace(s, split=n) for s, n in zip(made(3), ("train", "test", ""), strict=True))
    )
    assert data.splits == {"train": 1, "test": 1, "": 1}
    assert [s.image.name for s in data.of("test")] == ["p001.png"]
    assert len(data.of("validation")) == 0
    with pytest.raises(InputError, match="'dev'"):
        data.of("dev")


def test_a_source_is_a_table_or_a_known_set(tmp_path):
    path = table(tmp_path)
    assert len(open_source(str(path), scale=(1, 5))) == 3
    with pytest.raises(InputError, match="needs its scale"):
        open_source(str(path))
    with pytest.raises(InputError, match="name the folder"):
        open_source("kadid10k")
    with pytest.raises(InputError, match="leave them out"):
        open_source("kadid10k", tmp_path, scale=(1, 5))
    with pytest.raises(InputError, match="did you mean 'kadid10k'"):
        open_source("kadid10", tmp_path)


# ------------------------------------------------------------------------------------------------ hashes


def test_hashes_forgive_compression_and_size_and_tell_contents_apart(tmp_path):
    pixels = [picture(tmp_path / f"{i}.png", i, (160, 120)) for i in range(12)]
    hashes = [hash_pixels(p) for p in pixels]
    assert near_pairs(hashes) == []
    for name, level in (("jpeg", 3), ("white_noise", 3), ("gaussian_blur", 3), ("brighten", 1)):
        changed = hash_pixels(distort(pixels[0], name, level))
        assert (changed ^ hashes[0]).bit_count() <= 8, name
    large = np.asarray(Image.fromarray(pixels[0]).resize((640, 480), Image.Resampling.BICUBIC))
    assert (hash_pixels(large) ^ hashes[0]).bit_count() <= 4
    assert hash_pixels(pixels[0].astype(np.float32) / 255) == hashes[0]
    assert hash_pixels(pixels[0].astype(np.uint16) * 257) == hashes[0]


def test_flat_pictures_are_near_nothing():
    flat = [hash_pixels(np.full((40, 40, 3), v, np.uint8)) for v in (0, 200, 200)]
    assert flat == [0, 0, 0]
    assert near_pairs(flat) == []


def test_near_pairs_are_found_across_blocks():
    rng = np.random.default_rng(0)
    hashes = [int(v) for v in rng.integers(1, 1 << 63, 1200)]
    hashes[1100] = hashes[3] ^ 0b101
    hashes[1101] = hashes[1100]
    assert near_pairs(hashes, 4) == [(3, 1100, 2), (3, 1101, 2), (1100, 1101, 0)]


def test_near_duplicates_of_files(tmp_path):
    pixels = picture(tmp_path / "a.png", 1)
    Image.fromarray(pixels).save(tmp_path / "b.jpg", quality=60)
    picture(tmp_path / "c.png", 2)
    names = [tmp_path / n for n in ("a.png", "b.jpg", "c.png")]
    assert [(a.name, b.name) for a, b, _ in near_duplicates(names)] == [("a.png", "b.jpg")]
    with pytest.raises(ReadError):
        near_duplicates([*names, tmp_path / "none.png"])


# ------------------------------------------------------------------------------------------------ splits


def grouped(count: int = 200) -> Dataset:
    rng = np.random.default_rng(3)
    data = made(count)
    return replace(data, samples=tuple(replace(s, group=f"g{rng.integers(40)}") for s in data))


def test_a_split_keeps_groups_together_and_its_shares():
    drawn = split(grouped(), (0.7, 0.1, 0.2), seed=5)
    places: dict[str, set[str]] = {}
    for sample in drawn:
        places.setdefault(sample.group, set()).add(sample.split)
    assert all(len(p) == 1 for p in places.values())
    largest = max(sum(s.group == g for s in drawn) for g in places)
    for name, share in zip(("train", "validation", "test"), (0.7, 0.1, 0.2), strict=True):
        assert abs(drawn.splits[name] - share * 200) <= largest


def test_a_split_follows_from_the_seed_and_not_from_the_order():
    data = grouped()
    first = {s.image: s.split for s in split(data, seed=1)}
    shuffled = replace(data, samples=tuple(random.Random(7).sample(data.samples, len(data))))
    assert {s.image: s.split for s in split(shuffled, seed=1)} == first
    assert {s.image: s.split for s in split(data, seed=2)} != first


def test_references_join_and_so_do_chains_of_groups_and_references():
    data = made(6)
    marks = [("g", None), ("g", "r"), ("", "r"), ("h", None), ("", "p003.png"), ("", None)]
    samples = [
        replace(s, group=g, reference=Path("/data") / r if r else None) for s, (g, r) in zip(data, marks, strict=True)
    ]
    contents = group_contents(replace(data, samples=tuple(samples)), distance=None)
    assert contents == ["p000.png"] * 3 + ["p003.png"] * 2 + ["p005.png"]


def test_every_share_gets_something_where_there_is_enough():
    for count in (3, 5, 9):
        drawn = split(made(count), (0.8, 0.1, 0.1), distance=None)
        assert set(drawn.splits) == {"train", "validation", "test"}, count
    assert split(made(20), (0.5, 0, 0.5), distance=None).splits == {"train": 10, "test": 10}


@pytest.mark.parametrize("shares", [(0.8, 0.1), (0.8, 0.1, 0.2), (1.2, -0.1, -0.1)])
def test_shares_are_checked(shares):
    with pytest.raises(InputError, match="of sum 1"):
        split(made(5), shares, distance=None)


def test_pictures_that_look_alike_stay_together(tmp_path):
    samples = []
    for content in range(8):
        pixels = picture(tmp_path / f"{content}.png", content)
        for copy in range(3):
            path = tmp_path / f"{content}_{copy}.jpg"
            Image.fromarray(pixels).save(path, quality=90 - 20 * copy)
            samples.append(Sample(path, 50.0))
    data = Dataset("alike", tuple(samples), (0, 1), "a test", root=tmp_path)
    drawn = split(data, (0.5, 0.25, 0.25))
    places: dict[str, set[str]] = {}
    for sample in drawn:
        places.setdefault(sample.image.stem[0], set()).add(sample.split)
    assert all(len(p) == 1 for p in places.values())
    with pytest.raises(ReadError, match="1 of 25 pictures cannot be read"):
        split(replace(data, samples=(*samples, Sample(tmp_path / "none.png", 1.0))))


def test_validation_is_held_out_of_train_alone():
    data = grouped(100)
    official = replace(data, samples=tuple(replace(s, split="test" if s.group < "g2" else "train") for s in data))
    held = hold_out(official, 0.2, seed=1)
    assert held.of("test").samples == official.of("test").samples
    assert len(held.of("train")) + len(held.of("validation")) == len(official.of("train"))
    assert not {s.group for s in held.of("train")} & {s.group for s in held.of("validation")}
    assert [s.image for s in held] == [s.image for s in official]
    with pytest.raises(InputError, match="out of train alone"):
        hold_out(held)
    with pytest.raises(InputError, match="between 0 and 1"):
        hold_out(official, 1.0)


def test_a_split_is_written_and_read_again(tmp_path):
    data = grouped(50)
    drawn = split(data, seed=4)
    write_split(drawn, tmp_path / "split.json", seed=4, shares=(0.8, 0.1, 0.1))
    assert read_split(tmp_path / "split.json", data) == drawn
    document = json.loads((tmp_path / "split.json").read_text())
    assert document["seed"] == 4
    assert document["digest"] == drawn.digest
    assert document["images"]["p000.png"] == drawn[0].split
    shorter, longer = (
        replace(data, samples=data.samples[1:]),
        replace(data, samples=(*data, Sample(Path("/data/q"), 1))),
    )
    with pytest.raises(InputError, match=r"names 'p000.png', which the data set has not"):
        read_split(tmp_path / "split.json", shorter)
    with pytest.raises(InputError, match="does not know 'q'"):
        read_split(tmp_path / "split.json", longer)
    changed = replace(data, samples=(replace(data[0], mos=99.0), *data.samples[1:]))
    with pytest.raises(InputError, match="opinions of digest"):
        read_split(tmp_path / "split.json", changed)
    with pytest.raises(InputError, match="in no split"):
        write_split(data, tmp_path / "none.json")
    with pytest.raises(ReadError, match="cannot be read"):
        read_split(tmp_path / "absent.json", data)
    for text in ("{", '{"images": {}}'):
        with pytest.raises(ReadError):
            read_split(table(tmp_path, text, "other.json"), data)


# ------------------------------------------------------------------------------------------------ checks


@pytest.fixture
def faulty(tmp_path):
    samples = []
    for i in range(20):
        picture(tmp_path / f"{i:02d}.png", i)
        samples.append(Sample(tmp_path / f"{i:02d}.png", 60.0 + i % 5, split="train"))
    pixels = np.asarray(Image.open(tmp_path / "00.png"))
    Image.fromarray(pixels).save(tmp_path / "copy.png")
    Image.fromarray(pixels).save(tmp_path / "copy.jpg", quality=50)
    Image.fromarray(pixels[..., 0]).resize((32, 16)).save(tmp_path / "grey.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "01.png").read_bytes()[:200])
    samples += [
        Sample(tmp_path / "copy.png", 95.0, split="test"),
        Sample(tmp_path / "copy.jpg", 61.0, split="train"),
        Sample(tmp_path / "grey.png", 62.0, split="test", group="g"),
        Sample(tmp_path / "cut.png", 63.0, split="test", group="g"),
        Sample(tmp_path / "none.png", 64.0, split="train", group="g", reference=tmp_path / "lost.png"),
    ]
    return Dataset("faulty", tuple(samples), (0, 100), "a test", root=tmp_path)


def test_a_check_finds_what_is_wrong(faulty):
    found = check(faulty, threads=2)
    assert [f.image for f in found.missing] == ["none.png", "lost.png"]
    assert [f.image for f in found.broken] == ["cut.png"]
    assert "ReadError" in found.broken[0].detail
    assert not found.complete
    leaks = {(f.image, f.detail.split(":")[0]) for f in found.leaks}
    assert ("00.png", "the same pixels as 'copy.png'") in leaks
    assert any("group 'g' is in train and test" in f.detail for f in found.leaks)
    assert any(f.image == "00.png" and "copy.jpg" in f.detail for f in found.repeated)
    assert any(f.image == "copy.png" and "95.0 points" in f.detail for f in found.outliers)
    assert any(f.image == "00.png" and "its copy 'copy.png' 95" in f.detail for f in found.outliers)
    assert found.sizes == (((48, 64), 22), ((16, 32), 1))
    assert found.grey == 1
    assert found.splits == {"train": 22, "test": 3}
    assert sum(map(sum, found.histogram.values())) == 25
    assert found.to_dict()["complete"] is False
    json.dumps(found.to_dict())


def test_a_sound_set_has_no_findings(faulty):
    sound = replace(faulty, samples=faulty.samples[:20])
    found = check(sound)
    assert found.complete
    assert found.all == ()
    with pytest.raises(InputError, match="no samples"):
        check(replace(faulty, samples=()))


def test_kin_pictures_are_no_duplicates(tmp_path):
    pixels = picture(tmp_path / "r.png", 1)
    for level in (1, 2):
        Image.fromarray(distort(pixels, "white_noise", level)).save(tmp_path / f"{level}.png")
    samples = [Sample(tmp_path / f"{v}.png", 50.0, reference=tmp_path / "r.png", split="train") for v in (1, 2)]
    assert check(Dataset("kin", tuple(samples), (0, 1), "", root=tmp_path)).all == ()


def test_a_report_draws_and_tells(faulty, tmp_path):
    found = check(replace(faulty, name="<faulty> & Co"))
    for ending in (".html", ".json", ".png", ".svg"):
        write_report(found, tmp_path / f"out{ending}")
    page = (tmp_path / "out.html").read_text()
    assert "&lt;faulty&gt; &amp; Co" in page
    assert "<faulty>" not in page
    assert "cut.png" in page
    assert page.count("<rect") == to_svg(found).count("<rect")
    with Image.open(tmp_path / "out.png") as drawn:
        colours = {c for _, c in drawn.getcolors(1 << 16)}
    assert {(0x3B, 0x6E, 0xA5), (0xB5, 0x48, 0x3A)} <= colours
    lines = histogram_lines(found, rows=4)
    assert len(lines) == 6
    assert lines[0].split()[0] == str(max(map(sum, zip(*found.histogram.values(), strict=True))))
    assert "25 pictures (train 22, test 3)" in summary_lines(found)[0]
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        draw_histogram(found, tmp_path / "out.gif")
    with pytest.raises(InputError, match=r"\.html"):
        write_report(found, tmp_path / "out.txt")


def test_bars_are_as_high_as_their_counts():
    found = made(100)
    findings = Findings(found.name, found.digest, len(found), histogram=count_opinions(found))
    assert findings.histogram == {"": (5,) * 20}
    assert histogram_lines(findings, rows=2)[0] == f"{5:>7} " + "█" * 40


@pytest.mark.data
def test_biq2021_is_complete_and_has_copies_across_its_official_split(data):
    table_path = data / "photos" / "biq2021" / "mos.csv"
    whole = read_table(table_path, scale=(0, 1))
    assert whole.splits == {"train": 1000, "test": 400}
    few = [
        s for s in whole if s.image.name in ("ss01 (772).jpg", "ss01 (773).jpg", "ss03 (549).jpg", "ss03 (7068).jpg")
    ]
    found = check(replace(whole, samples=(*whole.samples[:30], *(s for s in few if s not in whole.samples[:30]))))
    assert found.complete
    assert len(found.leaks) >= 2
