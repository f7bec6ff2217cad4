#!/usr/bin/env python3
"""Makes the data of the example: a million lines of 200 bytes, "item-0000042<TAB>hex<NEWLINE>".

The hex is a hash of the key, so that anybody can check an answer of the model without the file. Made once; the file
appears under its name only when it is whole. QUICKSTART_ITEMS: another number of lines.
"""
import hashlib
import os
import sys

ITEMS = int(os.environ.get("QUICKSTART_ITEMS", "1000000"))
LINE_BYTES = 200
BATCH = min(10_000, ITEMS)


def value_of(key: bytes) -> bytes:
    return hashlib.shake_128(key).hexdigest((LINE_BYTES - len(key) - 2) // 2).encode()


def lines(first: int, count: int) -> bytes:
    keys = [b"item-%07d" % number for number in range(first, first + count)]
    return b"".join(b"%b\t%b\n" % (key, value_of(key)) for key in keys)


def generate(path: str) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    terminal = sys.stderr.isatty()
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "wb") as out:
            for first in range(0, ITEMS, BATCH):
                out.write(lines(first, min(BATCH, ITEMS - first)))
                percent = min(100, (first + BATCH) * 100 // ITEMS)
                if terminal:
                    print(f"\rgenerating {path}: {percent:3d} %", end="", file=sys.stderr, flush=True)
                elif percent % 25 == 0:
                    print(f"generating {path}: {percent} %", file=sys.stderr, flush=True)
        os.rename(part, path)
    finally:
        if terminal:
            print(file=sys.stderr)
        if os.path.exists(part):
            os.unlink(part)


def main() -> int:
    path = sys.argv[1] if len(sys.argv) > 1 else "data/items.tsv"
    try:
        if os.path.getsize(path) == ITEMS * LINE_BYTES:
            return 0
    except FileNotFoundError:
        pass
    generate(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
