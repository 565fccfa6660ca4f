#!/usr/bin/env python3
"""Makes seeds of fuzz targets from what they say in words.

    fuzz/seeds.py [TARGET...]     writes fuzz/seeds/TARGET/NAME for each `NAME: VALUE` of fuzz/seeds/TARGET.seeds
    fuzz/seeds.py --check         whether the seeds that are there are those; exit 1 if not

A VALUE is what Rust's Debug prints of the target's input: what libFuzzer prints of a failing one can be pasted, and a
seed can be read. Beside that a list of bytes may be text, "text\\n", and `VALUE * 3` in a list stands for three of it.
A VALUE goes on over indented lines; # begins a comment.

What a target takes is read from its source: types that derive `Arbitrary`, of integers, bool, Option, Vec, tuples and
arrays. They are written as the crate `arbitrary` reads them: integers little-endian, a bool or 1 in front of each
element of a list, a variant as its part of 2^32.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGETS = HERE / "fuzz_targets"
SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i64": 8}


def split(text, by=","):
    """The parts of a list, as far as brackets and strings go."""
    parts, depth, start, quoted = [], 0, 0, False
    at = 0
    while at < len(text):
        char = text[at]
        if quoted:
            if char == "\\":
                at += 1
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char in "([{<":
            depth += 1
        elif char in ")]}>":
            depth -= 1
        elif char == by and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
        at += 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def body(text, at):
    """What stands between the bracket at `at` and the one that closes it."""
    depth = 0
    for end in range(at, len(text)):
        depth += {"{": 1, "(": 1, "[": 1}.get(text[end], -1 if text[end] in "})]" else 0)
        if depth == 0:
            return text[at + 1 : end]
    raise ValueError("a bracket is not closed")


def fields(text):
    """Names and types of `a: A, b: B`."""
    return [tuple(part.strip() for part in re.sub(r"^pub ", "", one).split(":", 1)) for one in split(text)]


def types(source):
    """The types that derive `Arbitrary`: a list of fields, or a dictionary of variants."""
    source = re.sub(r"//.*", "", source)
    found = {}
    for match in re.finditer(r"#\[derive\(([^)]*)\)\]\s*(?:pub )?(struct|enum) (\w+) (\{)", source):
        if "Arbitrary" not in match[1]:
            continue
        inner = body(source, match.start(4))
        if match[2] == "struct":
            found[match[3]] = fields(inner)
            continue
        variants = {}
        for variant in split(inner):
            name = re.match(r"\w+", variant)[0]
            rest = variant[len(name) :].strip()
            variants[name] = fields(rest[1:-1]) if rest[:1] == "{" else split(rest[1:-1]) if rest else []
        found[match[3]] = variants
    return found


def load(target):
    """The types that a target knows, and that of its input."""
    text = (TARGETS / f"{target}.rs").read_text()
    modules = re.findall(r'#\[path = "(common/\w+\.rs)"\]', text)
    if "\nmod common;" in text:
        modules.append("common/mod.rs")
    known = {}
    for module in modules:
        known.update(types((TARGETS / module).read_text()))
    known.update(types(text))
    return known, re.search(r"fuzz_target!\(\|\w+: ([^|]*)\|", text)[1]


def text_bytes(value):
    return value[1:-1].encode("latin-1").decode("unicode_escape").encode("latin-1")


def named(value, of):
    """The values of `{ a: A, b: B }`, in the order of the type."""
    given = dict(fields(value))
    if set(given) != {name for name, _ in of}:
        raise ValueError(f"{sorted(given)} and not {[name for name, _ in of]}")
    return [(given[name], kind) for name, kind in of]


def elements(value):
    for one in split(value):
        again = re.match(r"(.*\S) \* (\d+)$", one, re.S)
        yield from [again[1]] * int(again[2]) if again else [one]


def encode(value, kind, known):
    value = value.strip()
    if kind in SIZES:
        return int(value, 0).to_bytes(SIZES[kind], "little", signed=kind[0] == "i")
    if kind == "bool":
        return {"true": b"\1", "false": b"\0"}[value]
    if kind.startswith("Option<"):
        return b"\0" if value == "None" else b"\1" + encode(value[5:-1], kind[7:-1], known)
    if kind.startswith("Vec<"):
        if value.startswith('"'):
            return b"".join(bytes([1, byte]) for byte in text_bytes(value)) + b"\0"
        return b"".join(b"\1" + encode(one, kind[4:-1], known) for one in elements(value[1:-1])) + b"\0"
    if kind.startswith("["):
        inner, count = split(kind[1:-1], ";")
        values = list(elements(value[1:-1]))
        if len(values) != int(count):
            raise ValueError(f"{len(values)} values for {kind}")
        return b"".join(encode(one, inner, known) for one in values)
    if kind.startswith("("):
        pairs = zip(split(value[1:-1]), split(kind[1:-1]), strict=True)
        return b"".join(encode(one, of, known) for one, of in pairs)
    of = known[kind]
    if isinstance(of, list) and value.startswith("("):
        return encode(value, f"({', '.join(kind for _, kind in of)})", known)
    name = re.match(r"\w+", value)[0]
    rest = value[len(name) :].strip()
    head = b""
    if isinstance(of, dict):
        place, count = list(of).index(name), len(of)
        head = (-(-(place << 32) // count)).to_bytes(4, "little")
        of = of[name]
    if not of:
        pairs = []
    elif isinstance(of[0], tuple):
        pairs = named(rest[1:-1], of)
    else:
        pairs = zip(split(rest[1:-1]), of, strict=True)
    return head + b"".join(encode(one, inner, known) for one, inner in pairs)


def seeds(file):
    known, kind = load(file.stem)
    text = re.sub(r"(?m)^\s*#.*\n", "", file.read_text())
    for entry in re.split(r"(?m)^(?=\w)", text):
        if not entry.strip():
            continue
        name, value = entry.split(":", 1)
        try:
            yield name, encode(value, kind, known)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            sys.exit(f"{file.name}, {name}: {error!r}")


def main(arguments):
    check = arguments == ["--check"]
    files = sorted((HERE / "seeds").glob("*.seeds"))
    if arguments and not check:
        files = [HERE / "seeds" / f"{target}.seeds" for target in arguments]
    differ = 0
    for file in files:
        folder = file.with_suffix("")
        folder.mkdir(exist_ok=True)
        for name, value in seeds(file):
            seed = folder / name
            if not check:
                seed.write_bytes(value)
            elif not seed.exists() or seed.read_bytes() != value:
                print(f"{seed.relative_to(HERE)} is not what {file.name} says")
                differ = 1
    return differ


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
