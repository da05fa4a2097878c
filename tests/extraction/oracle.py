"""Normalises the rows of the made-up API by itself and compares with the files of an extraction.  oracle.py DIR ROWS.jsonl"""

import csv
import datetime
import decimal
import json
import pathlib
import re
import sys

import pyarrow
import pyarrow.parquet

NAMES = {
    "id": "id",
    "nomeCompleto": "nome_completo",
    "Cidade-Natal": "cidade_natal",
    "contato.email": "contato_email",
    "contato.telefone": "contato_telefone",
    "contato.endereço.CEP": "contato_endereco_cep",
    "contato.endereço.uf": "contato_endereco_uf",
    "valorTotal": "valor_total",
    "quantidade": "quantidade",
    "peso": "peso",
    "ativo": "ativo",
    "criadoEm": "criado_em",
    "nascimento": "nascimento",
    "etiquetas": "etiquetas",
    "observação": "observacao",
}
TYPES = {
    "id": pyarrow.int64(),
    "valor_total": pyarrow.decimal128(38, 2),
    "quantidade": pyarrow.int64(),
    "peso": pyarrow.float64(),
    "ativo": pyarrow.bool_(),
    "criado_em": pyarrow.timestamp("us", tz="UTC"),
    "nascimento": pyarrow.date32(),
}


class Bad(Exception):
    pass


def once(pairs):
    if len({name for name, _ in pairs}) < len(pairs):
        raise Bad("a field is there twice")
    return dict(pairs)


def flat(value, prefix=""):
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from flat(inner, prefix + name + ".")
        else:
            yield prefix + name, inner


def converted(path, value):
    if value is None:
        return None
    if path == "valorTotal":
        if not re.fullmatch(r"-?\d+(\.\d{1,2})?", value):
            raise Bad(path)
        return decimal.Decimal(value).quantize(decimal.Decimal("0.01"))
    if path == "criadoEm":
        try:
            return datetime.datetime.fromisoformat(value)
        except ValueError:
            raise Bad(path)
    if path == "nascimento":
        return datetime.date.fromisoformat(value)
    if isinstance(value, list):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return value


def expected(texts):
    good, bad, ids = [], [], set()
    for ordinal, text in enumerate(texts):
        try:
            row = json.loads(text, object_pairs_hook=once)
            if not isinstance(row, dict) or row.get("id") is None:
                raise Bad("no object, or no id")
            cells = {NAMES[path]: converted(path, value) for path, value in flat(row) if path != "cupom"}
            if row["id"] in ids:
                raise Bad("repeated")
            ids.add(row["id"])
            good.append(cells)
        except Bad:
            bad.append((ordinal, text))
    return good, bad


def same(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: found {str(found)[:2000]}\nwanted {str(wanted)[:2000]}")


def from_csv(name, text):
    if text == "":
        return None
    kind = TYPES.get(name)
    if kind is None:
        return text
    if pyarrow.types.is_int64(kind):
        return int(text)
    if pyarrow.types.is_decimal(kind):
        return decimal.Decimal(text)
    if pyarrow.types.is_float64(kind):
        return float(text)
    if pyarrow.types.is_boolean(kind):
        return {"true": True, "false": False}[text]
    if pyarrow.types.is_timestamp(kind):
        return datetime.datetime.fromisoformat(text)
    return datetime.date.fromisoformat(text)


def compare(what, rows, good):
    same(f"{what}: number of rows", len(rows), len(good))
    for number, (found, wanted) in enumerate(zip(rows, good)):
        present = {name: value for name, value in found.items() if value is not None}
        same(f"{what}: row {number}", present, {name: value for name, value in wanted.items() if value is not None})


def main(folder, list_of_rows):
    csv.field_size_limit(1 << 24)
    texts = pathlib.Path(list_of_rows).read_text(encoding="utf-8").split("\n")
    good, bad = expected(texts)
    folder = pathlib.Path(folder)

    def files(stage, pattern):
        # What is visible is whole: a name that does not begin with a dot can be read.
        return sorted(path for path in (folder / stage).glob(pattern) if not path.name.startswith("."))

    raw = [row for path in files("raw", "*.parquet") for row in pyarrow.parquet.read_table(path).to_pylist()]
    same("raw rows", [row["ordinal"] for row in raw], list(range(len(texts))))
    same("raw texts", [row["row"] for row in raw], texts)

    rows = []
    for path in files("normalised", "*.parquet"):
        table = pyarrow.parquet.read_table(path)
        for field in table.schema:
            same(f"{path.name}: {field.name}", field.type, TYPES.get(field.name, pyarrow.string()))
        rows += table.to_pylist()
    compare("normalised", rows, good)

    rejected = [row for path in files("rejected", "*.parquet") for row in pyarrow.parquet.read_table(path).to_pylist()]
    same("rejected", [(row["ordinal"], row["row"]) for row in rejected], bad)
    same("rejected without a reason", [row for row in rejected if not row["reason"]], [])

    listed = files("csv", "*.csv")
    rows = []
    for path in listed:
        with path.open(newline="", encoding="utf-8") as file:
            rows += [{name: from_csv(name, text) for name, text in row.items()} for row in csv.DictReader(file)]
    if listed:
        compare("csv", rows, good)
    print(f"{len(texts)} rows of the API: {len(good)} good, {len(bad)} rejected, {len(listed)} CSV files")


main(sys.argv[1], sys.argv[2])
