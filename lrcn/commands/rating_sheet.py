"""`lrcn evaluate caption/rating-sheet`."""

from __future__ import annotations

from pathlib import Path

import click

from lrcn.commands.common import FILE, FOLDER, Progress, say

NAME = "caption/rating-sheet"


@click.command(NAME)
@click.option(
    "--system",
    "systems",
    multiple=True,
    required=True,
    metavar="NAME=CAPTIONS.json",
    help="A system and its captions in COCO's results format; once a system.",
)
@click.option(
    "--references",
    type=FILE,
    help="captions.json of a prepared data set, or COCO's annotations: adds the "
    'row "captions", one drawn for each image, and tells the images\' files.',
)
@click.option(
    "--images", type=FOLDER, help="The folder of the images; without it, their paths as the captions have them."
)
@click.option(
    "--count", type=click.IntRange(1), default=785, show_default=True, help="Images to draw; 785 as published."
)
@click.option(
    "--parts",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Share the images out over several pages, one a rater or day.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1701,
    show_default=True,
    help="Of the images, the references and the order of the captions.",
)
@click.option("--out", type=FOLDER, default=Path("runs/rating-sheet"), show_default=True)
def rating_sheet(systems, references, images, count, parts, seed, out):
    """A page on which people rank the captions of several systems by correctness, grammar and relevance (Table 4).

    OUT/sheet is for the raters: they open its index.html in a browser, from disk, and send back the answers that it
    saves. OUT/key.json tells which caption is whose and is not for them. `lrcn compare OUT/key.json ANSWERS...` makes
    the table.
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
