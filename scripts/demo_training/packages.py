"""Where the text comes from: Debian packages, downloaded with apt-get, unpacked, not installed."""
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """One Debian package, what its text may be used for, and under which terms."""
    name: str
    licence: str          # of the text that we read, not of the packaging
    committed: bool       # may its text stand in the committed corpus?
    attribution: str


PACKAGES = (
    Package("wordnet-base", "WordNet 3.0 licence (BSD-like)", True,
            "WordNet 3.0, Copyright 2006 by Princeton University"),
    Package("r-cran-janeaustenr", "public domain text (R package: MIT, Julia Silge)", True,
            "Jane Austen, six novels, 1811-1818"),
    Package("jargon-text", "public domain", True, "The Jargon File 4.4.7, Eric S. Raymond"),
    Package("dict-devil", "public domain", True,
            "Ambrose Bierce, The Devil's Dictionary, 1911"),
    Package("dict-foldoc", "GFDL 1.1 or later", False,
            "The Free On-line Dictionary of Computing, editor Denis Howe"),
    Package("fortunes", "BSD collection of quotations", False,
            "fortune-mod, Ken Arnold and others"),
    Package("fortunes-min", "BSD collection of quotations", False,
            "fortune-mod, Ken Arnold and others"),
    Package("perl-doc", "Artistic or GPL-1+", False, "Perl documentation, its authors"),
    Package("anarchism", "GPL-2+ or GFDL-1.2+", False, "An Anarchist FAQ, its editors"),
    Package("sqlite3-doc", "public domain", True, "SQLite documentation, D. Richard Hipp"),
)


def fetch(work):
    """Downloads and unpacks every package under `work`; returns (root, {name: version})."""
    debs, root = work / "debs", work / "root"
    debs.mkdir(parents=True, exist_ok=True)
    missing = [p.name for p in PACKAGES if not list(debs.glob(p.name + "_*.deb"))]
    if missing:
        print("apt-get download " + " ".join(missing), flush=True)
        try:
            subprocess.run(["apt-get", "-q", "download", *missing], cwd=debs, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit("train-demo: the corpus packages come from a Debian 12 mirror with "
                             f"apt-get, and that failed ({error}); run `apt-get update` first, or "
                             f"put these .deb files into {debs}: {', '.join(missing)}")
    versions = {}
    for package in PACKAGES:
        deb = sorted(debs.glob(package.name + "_*.deb"))[-1]
        versions[package.name] = deb.name.split("_")[1].replace("%3a", ":")
        mark = root / (".unpacked-" + deb.name)
        if not mark.exists():
            root.mkdir(exist_ok=True)
            subprocess.run(["dpkg", "-x", str(deb), str(root)], check=True)
            mark.touch()
    return root, versions


def licence_texts(root, out: Path):
    """Copies the copyright file of every committed source to `out`/PACKAGE.copyright."""
    out.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if package.committed:
            text = (root / "usr/share/doc" / package.name / "copyright").read_bytes()
            (out / (package.name + ".copyright")).write_bytes(text)
