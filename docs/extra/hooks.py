"""What mkdocs does with the pages before they are a site: those that lie outside of docs/ become pages too, and links
that lead through the checkout lead through the site."""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
# a page of the site -> the file of the checkout, where that is not docs/ and its name
OUTSIDE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
    "benchmarks.md": "benchmarks/README.md",
    "tour.md": "docs/tour.ipynb",
}
BLOCK = re.compile(r"(^```.*?^```$)", re.M | re.S)
MARKER = re.compile(r"^<!-- (?:on|file|needs): .*-->\n", re.M)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
DEFINITION = re.compile(r"^(\[[^\]]+\]: )(\S+)$", re.M)


def on_files(files, config):
    for name, path in OUTSIDE.items():
        if path.endswith(".ipynb"):
            files.remove(files.get_file_from_path(Path(path).name))
            text, pictures = notebook(ROOT / path)
            for picture, content in pictures.items():
                files.append(File.generated(config, picture, content=content))
        else:
            text = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    return files


def notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, as it was saved; and its pictures by name."""
    from nbconvert import MarkdownExporter

    text, resources = MarkdownExporter().from_filename(str(path), {"output_files_dir": f"{path.stem}_files"})
    return text, resources["outputs"]


def on_page_markdown(markdown, page, config, files):
    """Without the markers of blocks, which are for the tests, and with links of the site."""

    def of_site(link: re.Match) -> str:
        picture, text, target = link.groups()
        return _link(page.file.src_uri, files, picture, LINK.sub(of_site, text), target)

    def defined(line: re.Match) -> str:
        return line[1] + _target(page.file.src_uri, files, line[2])

    parts = BLOCK.split(MARKER.sub("", markdown))  # every other one is a block
    parts[::2] = [DEFINITION.sub(defined, LINK.sub(of_site, part)) for part in parts[::2]]
    return "".join(parts)


def _link(page: str, files, picture: str, text: str, target: str) -> str:
    """A link as the site has it; of a file of the code, of which the site has none, the text alone."""
    there = _target(page, files, target)
    return f"{picture}[{text}]({there})" if there else text


def _target(page: str, files, target: str) -> str:
    if re.match(r"[a-z]+:|#", target):
        return target
    path, anchor, heading = target.partition("#")
    file = posixpath.normpath(posixpath.join(posixpath.dirname(OUTSIDE.get(page, f"docs/{page}")), path))
    inside = {outside: name for name, outside in OUTSIDE.items()}.get(file) or file.removeprefix("docs/")
    if (file.startswith("docs/") or file in OUTSIDE.values()) and files.get_file_from_path(inside):
        return inside + anchor + heading
    return "" if (ROOT / file).exists() else target  # what leads nowhere, mkdocs tells
