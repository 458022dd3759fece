"""Loaders give every row once with its label, and clear errors."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from steelyard.errors import ConfigError
from steelyard.learning.data import Kind
from steelyard.learning.loaders import Scan, SourceOptions, open_source
from steelyard.learning.loaders import images as image_files
from steelyard.learning.loaders.label_encoding import LabelEncoder
from support import sources


def read(where: Path | str, scratch: Path, **options: Any) -> tuple[Scan, np.ndarray, np.ndarray]:
    """Scan, training rows and test rows."""
    with open_source(str(where), SourceOptions(**options), scratch) as source:
        scan = source.scan()
        train = list(source.batches())
        test = list(source.batches(test=True))
    empty = np.zeros((0, *scan.shape), scan.kind.dtype)
    return scan, np.concatenate(train), np.concatenate(test) if test else empty


def counts(scan: Scan) -> dict[str, int]:
    return {name: int(np.count_nonzero(scan.labels == k)) for k, name in enumerate(scan.names)}


class TestTables:
    def test_csv_gives_every_number_and_label_of_its_source(self, tmp_path: Path) -> None:
        values, names, labels = sources.wine()
        scan, rows, _ = read(sources.wine_csv(tmp_path / "wine.csv"), tmp_path)
        assert (scan.kind, scan.shape, scan.columns) == (Kind.FEATURES, (13,), tuple(names))
        np.testing.assert_array_equal(rows, values.astype(np.float32))
        assert [scan.names[k] for k in scan.labels] == labels

    def test_parquet_gives_the_same_as_its_source(self, tmp_path: Path) -> None:
        values, names, _ = sources.breast_cancer()
        scan, rows, _ = read(sources.cancer_parquet(tmp_path / "c.parquet"), tmp_path)
        assert scan.columns == tuple(names)
        assert counts(scan) == {"0": 212, "1": 357}
        np.testing.assert_array_equal(rows, values.astype(np.float32))

    def test_columns_are_taken_in_the_order_asked_for(self, tmp_path: Path) -> None:
        values, names, _ = sources.wine()
        file = sources.wine_csv(tmp_path / "wine.csv", label="kind")
        scan, rows, _ = read(file, tmp_path, label="kind", columns=(names[5], names[0]))
        np.testing.assert_array_equal(rows, values[:, [5, 0]].astype(np.float32))
        assert scan.columns == (names[5], names[0])

    def test_a_group_column_is_not_a_feature_and_its_values_are_numbered(self, tmp_path: Path) -> None:
        farms = [f"farm {i % 4}" for i in range(178)]
        file = sources.wine_csv(tmp_path / "wine.csv", extra=[("farm", farms)])
        scan, rows, _ = read(file, tmp_path, group="farm")
        assert rows.shape == (178, 13)
        assert scan.groups is not None
        assert scan.groups.tolist() == [i % 4 for i in range(178)]

    def test_fractions_after_the_first_block_are_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("steelyard.learning.loaders.tables.CSV_BLOCK", 256)
        lines = ["x,label", *(f"{i},{i % 2}" for i in range(200)), "0.5,1"]
        (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
        _, rows, _ = read(tmp_path / "a.csv", tmp_path)
        assert rows[-1, 0] == 0.5
        assert len(rows) == 201

    def test_other_delimiters_and_compression(self, tmp_path: Path) -> None:
        import gzip

        (tmp_path / "a.csv").write_text("x;y;label\n1;2;a\n3;4;b\n")
        assert read(tmp_path / "a.csv", tmp_path, delimiter=";")[1].tolist() == [[1, 2], [3, 4]]
        (tmp_path / "a.tsv").write_text("x\ty\tlabel\n1\t2\ta\n3\t4\tb\n")
        assert read(tmp_path / "a.tsv", tmp_path)[1].tolist() == [[1, 2], [3, 4]]
        (tmp_path / "z.csv.gz").write_bytes(gzip.compress(b"x,label\n7,a\n8,b\n"))
        assert read(tmp_path / "z.csv.gz", tmp_path)[1].tolist() == [[7], [8]]

    def test_a_folder_of_parts_is_joined_and_its_test_files_are_test_rows(self, tmp_path: Path) -> None:
        place = tmp_path / "d" / "data"
        place.mkdir(parents=True)
        for name, rows in (("train-0", "1,a\n2,b\n"), ("train-1", "3,a\n"), ("test-0", "4,b\n")):
            (place / f"{name}.csv").write_text("x,label\n" + rows)
        scan, train, test = read(tmp_path / "d", tmp_path)
        assert (train.tolist(), test.tolist()) == ([[1], [2], [3]], [[4]])
        assert scan.test_labels is not None
        assert scan.test_labels.tolist() == [1]

    def test_truth_values_are_numbers_and_words_like_na_are_labels(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("x,label\ntrue,NA\nfalse,null\n")
        scan, rows, _ = read(tmp_path / "a.csv", tmp_path)
        assert (rows.tolist(), scan.names) == ([[1], [0]], ("NA", "null"))

    def test_a_label_is_the_same_as_a_fraction_an_integer_or_a_category(self, tmp_path: Path) -> None:
        for name, values in (
            ("float", pa.array([1.0, 2.0, 1.0])),
            ("int", pa.array([1, 2, 1])),
            ("text", pa.array(["1", "2", "1"])),
            ("category", pa.array(["1", "2", "1"]).dictionary_encode()),
        ):
            pq.write_table(pa.table({"x": [0.5, 1.5, 2.5], "label": values}), tmp_path / f"{name}.parquet")
            scan, _, _ = read(tmp_path / f"{name}.parquet", tmp_path)
            assert (scan.names, scan.labels.tolist()) == (("1", "2"), [0, 1, 0])

    def test_nan_is_not_a_label(self, tmp_path: Path) -> None:
        table = pa.table({"x": [0.5, 1.5], "label": [1.0, float("nan")]})
        pq.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(ConfigError, match="a row has no label"):
            read(tmp_path / "a.parquet", tmp_path)

    def test_numeric_labels_are_in_the_order_of_numbers(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("x,label\n" + "".join(f"1,{k}\n" for k in (10, 9, 2, 10)))
        assert read(tmp_path / "a.csv", tmp_path)[0].names == ("2", "9", "10")

    @pytest.mark.parametrize(
        ("text", "options", "said", "remedy"),
        [
            ("x,y\n1,2\n", {}, "no column is called label", "--label; the columns are x, y"),
            ("x,label\n1,2\n", {"label": "kind"}, "no column 'kind'", "the columns are x, label"),
            ("x,label\n1,a\n", {"columns": ("z",)}, "no column 'z'", "--columns"),
            ("x,w,label\n1,red,a\n", {}, "column 'w' holds no numbers", "--text"),
            ("x,label\n1,a\n,b\n", {}, "no finite number in 1 of 2 rows", "fill them in"),
            ("x,label\n1,a\nnan,b\n", {}, "no finite number", "fill them in"),
            ("x,label\n1,a\n2,\n", {}, "a row has no label", "fill it in"),
            ("x,label\n1,a\n2,b\n", {"group": "farm"}, "no column 'farm'", "by:<column>"),
            ("x,label\n1,a\n2,b,3\n", {}, "cannot be read", "correct the file"),
            ("label\na\nb\n", {}, "0 columns of features", "--columns"),
            ("x,label\n1,a\n", {"columns": ("x", "label")}, "'label' is named twice", "--columns"),
            ("x,label\n1,a\n", {"columns": ("x", "x")}, "'x' is named twice", "--columns"),
            ("x,label\n1,a\n", {"delimiter": ";;"}, "';;' is not a delimiter", "one ASCII character"),
            ("", {}, "cannot be read", "correct the file"),
            ("x,label\n", {}, "has no rows", "another source"),
            ("x,label\n1,a\n", {"labels": ("b", "c")}, "'a' is none of the 2 known labels", "b, c"),
        ],
    )
    def test_errors_name_cause_and_remedy(
        self, tmp_path: Path, text: str, options: dict[str, Any], said: str, remedy: str
    ) -> None:
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(ConfigError) as caught:
            read(tmp_path / "a.csv", tmp_path, **options)
        assert said in caught.value.message
        assert remedy in caught.value.remedy

    def test_an_invalid_parquet_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing more")
        with pytest.raises(ConfigError, match=r"a\.parquet cannot be read"):
            read(tmp_path / "a.parquet", tmp_path)

    def test_more_labels_than_a_byte_holds_are_refused(self) -> None:
        encoder = LabelEncoder("label", 256)
        encoder.add([str(i) for i in range(256)], np.arange(256))
        with pytest.raises(ConfigError, match="more than 256 different labels"):
            encoder.add(["one more"], np.zeros(1, np.int64))


class TestImages:
    def test_parquet_of_images_gives_their_pixels_and_the_names_of_its_labels(self, tmp_path: Path) -> None:
        images, labels = sources.digits(200)
        scan, rows, _ = read(sources.digits_parquet(tmp_path / "d.parquet", 0, 200), tmp_path)
        assert (scan.kind, scan.shape) == (Kind.IMAGES, (1, 16, 16))
        np.testing.assert_array_equal(rows[:, 0], images)
        assert scan.names == tuple(f"digit {k}" for k in range(10))
        assert scan.labels.tolist() == labels.tolist()

    def test_jpegs_in_colour_have_three_channels(self, tmp_path: Path) -> None:
        file = sources.digits_parquet(tmp_path / "d.parquet", 0, 20, encode=sources.jpeg)
        scan, rows, _ = read(file, tmp_path)
        assert (scan.shape, rows.shape) == ((3, 16, 16), (20, 3, 16, 16))

    def test_a_folder_of_images_gives_each_once_with_its_folder_as_label(self, tmp_path: Path) -> None:
        images, labels = sources.digits(60)
        scan, rows, _ = read(sources.digits_folder(tmp_path / "d", 60), tmp_path)
        found = sorted(
            zip((r.tobytes() for r in rows), (int(scan.names[k]) for k in scan.labels), strict=True)
        )
        assert found == sorted((i.tobytes(), int(k)) for i, k in zip(images, labels, strict=True))

    def test_train_and_test_folders_are_distinguished(self, tmp_path: Path) -> None:
        sources.digits_folder(tmp_path / "d" / "train", 40)
        sources.digits_folder(tmp_path / "d" / "test", 20)
        scan, train, test = read(tmp_path / "d", tmp_path)
        assert (len(train), len(test)) == (40, 20)
        assert scan.test_labels is not None
        assert len(scan.names) == 10

    def test_images_of_several_sizes_are_scaled_only_if_asked(self, tmp_path: Path) -> None:
        place = tmp_path / "d" / "a"
        place.mkdir(parents=True)
        for number, side in enumerate((20, 30)):
            (place / f"{number}.png").write_bytes(sources.png(np.full((side, side), 99, np.uint8)))
        with pytest.raises(ConfigError, match="30 x 30, the first one is 20"):
            read(tmp_path / "d", tmp_path)
        assert read(tmp_path / "d", tmp_path, image_size=16)[1].shape == (2, 1, 16, 16)

    def test_a_bomb_is_refused_before_it_is_decoded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bomb = sources.png(np.zeros((300, 300), np.uint8))
        monkeypatch.setattr(image_files, "MAX_PIXELS", 10_000)
        monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was decoded"))
        with pytest.raises(ConfigError, match="300 x 300 pixels"):
            image_files.Frame.of(bomb)

    def test_a_file_that_is_not_an_image_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "d" / "a").mkdir(parents=True)
        (tmp_path / "d" / "a" / "1.png").write_bytes(b"no picture")
        with pytest.raises(ConfigError, match="not a readable image"):
            read(tmp_path / "d", tmp_path)

    def test_a_truncated_image_is_named(self, tmp_path: Path) -> None:
        whole = sources.jpeg(np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8))
        (tmp_path / "d" / "a").mkdir(parents=True)
        (tmp_path / "d" / "a" / "1.jpg").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ConfigError, match=r"1\.jpg"):
            read(tmp_path / "d", tmp_path)


class TestTexts:
    def test_a_folder_of_texts_gives_their_bytes(self, tmp_path: Path) -> None:
        known = sources.descriptions()
        scan, rows, _ = read(sources.texts_folder(tmp_path / "d"), tmp_path, text_bytes=200)
        assert (scan.kind, scan.shape) == (Kind.TEXTS, (200,))
        assert counts(scan) == dict(Counter(label for _, label in known))
        got = {
            (row.tobytes().rstrip(b"\0").decode(), scan.names[k])
            for row, k in zip(rows, scan.labels, strict=True)
        }
        assert got == {(text, label) for text, label in known}

    def test_a_column_of_texts_gives_the_same(self, tmp_path: Path) -> None:
        file = sources.texts_csv(tmp_path / "t.csv")
        scan, rows, _ = read(file, tmp_path, text="words", label="source", text_bytes=200)
        assert [row.tobytes().rstrip(b"\0").decode() for row in rows] == [
            t for t, _ in sources.descriptions()
        ]
        assert [scan.names[k] for k in scan.labels] == [label for _, label in sources.descriptions()]

    def test_long_texts_are_cut_and_nothing_in_them_is_a_terminator(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"t": ["ab\0cdefgh" * 3, "é"], "label": ["x", "y"]}), tmp_path / "t.parquet")
        _, rows, _ = read(tmp_path / "t.parquet", tmp_path, text="t", text_bytes=8)
        assert rows[0].tobytes() == b"ab cdefg"
        assert rows[1].tobytes() == "é".encode() + bytes(6)


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no labelled rows"):
        read(tmp_path / "empty", tmp_path)


@pytest.mark.parametrize(
    ("where", "said"),
    [("nowhere", "there is no"), ("torchvision:ImageNet", "no data set"), ("gopher9://x/y.csv", "gopher9")],
)
def test_an_unknown_source_is_named(tmp_path: Path, where: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(where, tmp_path)


@pytest.mark.parametrize(
    ("module", "file"), [("pyarrow.csv", "a.csv"), ("pyarrow.parquet", "a.parquet"), ("PIL.Image", "d")]
)
def test_a_library_that_is_missing_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, file: str
) -> None:
    sources.wine_csv(tmp_path / "a.csv")
    sources.cancer_parquet(tmp_path / "a.parquet")
    sources.digits_folder(tmp_path / "d", 10)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=f"{module.partition('.')[0]} is not installed") as caught:
        read(tmp_path / file, tmp_path)
    assert "steelyard[data]" in caught.value.remedy


def test_nothing_downloaded_or_unpacked_stays_behind(tmp_path: Path) -> None:
    sources.wine_csv(tmp_path / "wine.csv")
    read(f"file://{tmp_path}/wine.csv", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["wine.csv"]
