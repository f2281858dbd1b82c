"""Pack the built book into one zip that opens from disk: unpack it, open index.html.

    python book/tools/offline.py                     into _build/queen-ref-VERSION.zip
    python book/tools/offline.py --out some/folder

`make book` comes first.
"""

import argparse
import shutil
import sys
from pathlib import Path

from queen_ref import __version__

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=BUILD, help="folder (default: _build)")
    out = parser.parse_args().out
    if not (BUILD / "html" / "index.html").is_file():
        print("No book yet: run make book", file=sys.stderr)
        return 2
    if not out.is_dir():
        print(f"--out: expected a folder, got {out}", file=sys.stderr)
        return 2
    # Inside the zip is one folder, so that unpacking does not spill over its surroundings.
    folder = BUILD / f"queen-ref-{__version__}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(BUILD / "html", folder)
    print(shutil.make_archive(str(out / folder.name), "zip", BUILD, folder.name))
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
