#!/usr/bin/env python3
"""Reads the forms that portline-interop wrote, with every Python parser at hand, and compares.

usage: read_back.py FOLDER
"""
import io
import json
import pathlib
import sys
import urllib.parse
from email import message_from_bytes
from email.policy import compat32
from email.header import Header


def by_email(content_type, body):
    message = message_from_bytes(b"Content-Type: " + content_type + b"\r\n\r\n" + body, policy=compat32)
    parts = message.get_payload() if message.is_multipart() else []
    for part in parts:
        raw = part.get("Content-Disposition")
        if isinstance(raw, Header):
            # It has bytes that are no ASCII: as they were, a character for each.
            raw = "".join(chunk.encode("ascii", "surrogateescape").decode("latin-1") for chunk, _ in raw._chunks)
            del part["Content-Disposition"]
            part["Content-Disposition"] = raw
        name, filename = (part.get_param(key, header="Content-Disposition") for key in ("name", "filename"))
        recoded = [value if value is None else value.encode("latin-1") for value in (name, filename)]
        kind = part.get("Content-Type")
        yield *recoded, kind, part.get_payload(decode=True)


def by_multipart(content_type, body):
    import multipart
    kind, options = multipart.parse_options_header(content_type.decode())
    for part in multipart.MultipartParser(io.BytesIO(body), options["boundary"], charset="utf8"):
        filename = part.filename.encode() if part.filename is not None else None
        yield part.name.encode(), filename, part.headers.get("Content-Type"), part.raw


def by_python_multipart(content_type, body):
    import python_multipart
    from python_multipart.multipart import parse_options_header
    kind, options = parse_options_header(content_type)
    parts, part = [], None

    def begin():
        nonlocal part
        part = {"headers": {}, "name": b"", "value": b"", "data": b""}

    def add(key):
        def append(data, start, end):
            part[key] += data[start:end]
        return append

    def header_end():
        part["headers"][part["name"].lower()] = part["value"]
        part["name"] = part["value"] = b""

    parser = python_multipart.MultipartParser(options[b"boundary"], {
        "on_part_begin": begin, "on_part_data": add("data"), "on_header_field": add("name"),
        "on_header_value": add("value"), "on_header_end": header_end, "on_part_end": lambda: parts.append(part)})
    for at in range(0, len(body), 1000):
        parser.write(body[at:at + 1000])
    parser.finalize()
    for part in parts:
        _, options = parse_options_header(part["headers"][b"content-disposition"])
        kind = part["headers"].get(b"content-type")
        yield options[b"name"], options.get(b"filename"), kind.decode() if kind else None, part["data"]


def by_urllib(content_type, body):
    for name, value in urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, errors="strict"):
        yield name.encode(), None, None, value.encode()


def same(got, expected):
    """Names may come with browsers' escapes undone or not."""
    return got in (expected, expected.replace(b'"', b"%22")) if expected is not None else got is None


def main():
    folder = pathlib.Path(sys.argv[1])
    count = 0
    for file in sorted(folder.glob("*.http")):
        content_type, body = file.read_bytes().split(b"\r\n\r\n", 1)
        expected = [
            (bytes.fromhex(part["name"]), part["filename"] and bytes.fromhex(part["filename"]), part["type"],
             bytes.fromhex(part["data"])) for part in json.loads(file.with_suffix(".json").read_text())]
        is_strings = content_type == b"application/x-www-form-urlencoded"
        for reader in [by_urllib] if is_strings else [by_email, by_multipart, by_python_multipart]:
            what = f"{file.stem}, {reader.__name__}"
            got = list(reader(content_type, body))
            assert len(got) == len(expected), f"{what}: {len(got)} parts instead of {len(expected)}"
            for (name, filename, kind, data), (its_name, its_filename, its_kind, its_data) in zip(got, expected):
                assert same(name, its_name), f"{what}: the name {name!r} instead of {its_name!r}"
                assert same(filename, its_filename), f"{what}: the file name {filename!r} instead of {its_filename!r}"
                assert kind == its_kind, f"{what}: the type {kind!r} instead of {its_kind!r}"
                assert data == its_data, f"{what}: the data of {its_name!r} differs"
            count += 1
    print(f"Python: {count} readings of {len(list(folder.glob('*.http')))} forms agree")


if __name__ == "__main__":
    main()
