#!/usr/bin/env python3
"""Makes a directory of files with a PULP_MANIFEST: tree.py DIRECTORY COUNT SIZE [SEED].

The same arguments make the same files; names include spaces, quotes, colons, percent signs and letters beyond ASCII.
"""
import hashlib
import pathlib
import random
import sys

ODD = ["with space.txt", "colon:name.txt", "quote'single.txt", 'quote"double.txt', "percent%2fslash.txt", "plus+and&.txt",
       "semi;colon.txt", "snö/ünïcode/文件.txt", "a/b/c/d/e/f/deep.txt"]


def main(directory, count, size, seed=1):
    root, source, lines = pathlib.Path(directory), random.Random(seed), []
    names = ODD + [f"data/{index % 10}/{index:05}.bin" for index in range(count)]
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = f"{seed} {name}\n".encode() + source.randbytes(size)
        path.write_bytes(content)
        lines.append(f"{name},{hashlib.sha256(content).hexdigest()},{len(content)}\n")
    (root / "PULP_MANIFEST").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], *(int(number) for number in sys.argv[2:]))
