"""`lrcn evaluate caption/rating-sheet`."""

from __future__ import annotations

from pathlib import Path

import click

from lrcn.commands.common import FILE, FOLDER, Progress, say
from lrcn.commands.help import Command, option

NAME = "caption/rating-sheet"


@click.command(
    NAME,
    cls=Command,
    examples=[
        (
            "Let people rank two systems beside captions written by people",
            "lrcn evaluate caption/rating-sheet --system ours=ours.json \\\n"
            "  --system theirs=theirs.json --references data/coco/captions.json",
        )
    ],
)
@option(
    "--system",
    "systems",
    multiple=True,
    required=True,
    metavar="NAME=FILE",
    help="A system and its captions in COCO's results format; once for each system.",
)
@option(
    "--references",
    type=FILE,
    help="COCO's annotations, or captions.json of a prepared data set: names the images' files, and adds a caption "
    "that people wrote for each image.",
)
@option("--images", type=FOLDER, show_default="the paths in the captions", help="Folder of the images.")
@option("--count", type=click.IntRange(1), default=785, help="Number of images to draw; the paper has 785.")
@option("--parts", type=click.IntRange(1), default=1, help="Number of pages to share the images out over.")
@option("--seed", type=click.IntRange(0), default=1701, help="Seed of the images and of the order of the captions.")
@option("--out", type=FOLDER, default=Path("runs/rating-sheet"), help="Folder of the pages.")
def rating_sheet(systems, references, images, count, parts, seed, out):
    """Make a page on which people rank captions (Table 4).

    Captions of several systems are ranked by correctness, grammar and relevance. Give OUT/sheet to the raters: they
    open its index.html in a browser and send back the file of answers that it saves. Keep OUT/key.json, which says
    whose each caption is. `lrcn compare OUT/key.json ANSWERS...` makes the table.
    """
    from lrcn.sentences.caption_files import image_files, matched, read_references, read_results
    from lrcn.sentences.rating_sheet import Draw, ImageFiles, write_sheet

    people = read_references(references, remark=say) if references else None
    described = {}
    for system in systems:
        name, equals, path = system.partition("=")
        if not equals or not name.strip() or not path:
            raise click.UsageError(f"--system {system}: it takes NAME=CAPTIONS.json")
        if name.strip() in described:
            raise click.UsageError(f"--system {system}: {name.strip()} is given twice")
        described[name.strip()] = matched(read_results(path), people or {})
    progress = Progress()
    files = ImageFiles(image_files(references) if references else {}, images)
    write_sheet(described, out, people, files, Draw(count, parts, seed), progress)
    progress.close()
    where = f"{out}/sheet1, {out}/sheet2, ..." if parts > 1 else out / "sheet"
    say(f"for the raters: {where}, a folder with index.html; {out / 'key.json'} is not for them")
