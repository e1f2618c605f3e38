"""`lrcn nets`: the nets and solvers as prototxt."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from lrcn.commands import completion
from lrcn.commands.common import (
    FILE,
    FOLDER,
    WEIGHTS,
    check_apart,
    lenient_option,
    one_line,
    pass_over,
    read_settings,
    say,
    settings_options,
    width,
)
from lrcn.commands.help import Group, option, section
from lrcn.commands.options import JSON


@click.group(cls=Group, examples=[("List the nets of the paper", "lrcn nets list")])
def nets():
    """List, write, inspect and check nets (Caffe's prototxt)."""


@nets.command(
    "list",
    examples=[
        ("List all nets", "lrcn nets list"),
        ("Show the settings of one, with their published values", "lrcn nets list caption/lrcn-2f"),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.nets)
@option("--task", metavar="TASK", shell_complete=completion.tasks, help="List the nets of one task only.")
@JSON
def nets_list(names, task, as_json):
    """List the nets, or the settings of those that are named.

    The list has a net's task, place in the paper, number of parameters and inputs.
    """
    from lrcn import net_files
    from lrcn.results.tables import described, folded, table_or_records
    from netspecs import catalogue
    from prototxt_gen.shapes import infer

    if task not in (None, *catalogue.tasks()):
        raise click.UsageError(f"--task {task}: it takes one of {', '.join(catalogue.tasks())}")
    rows = [variant for variant in map(catalogue.get, names or catalogue.names()) if task in (None, variant.task)]
    inputs = {v.name: v.input_shapes()["train"] for v in rows}

    def parameters(v):
        files = v.files()
        return infer(files["train_test"], "TRAIN", files["solver"].train_state.stage, inputs=inputs[v.name]).parameters

    if as_json:
        print(
            json.dumps(
                [
                    {
                        "name": v.name,
                        "task": v.task,
                        "paper": v.paper,
                        "parameters": parameters(v),
                        "inputs": inputs[v.name],
                        "settings": v.defaults,
                        "help": v.help,
                        "editions": list(v.every_edition().values()),
                    }
                    for v in rows
                ],
                indent=1,
            )
        )
    elif names:
        for v in rows:
            print(*folded("", f"{v.name}: {v.paper}", width(), 2), sep="\n")
            settings = [(f"{name}={net_files.shown(value)}", v.help[name]) for name, value in v.defaults.items()]
            print(*described(settings, width(), indent="  "), sep="\n")
    else:
        titles = ("name", "task", "paper", "parameters", "inputs")
        table = []
        for v in rows:
            shapes = ", ".join(f"{blob} {'x'.join(map(str, shape))}" for blob, shape in inputs[v.name].items())
            table.append((v.name, v.task, v.paper, f"{parameters(v) / 1e6:.2f} M", shapes))
        print(*table_or_records(titles, table, width(), right=(3,)), sep="\n")


WORDS = option(
    "--vocabulary", "words", type=FILE, help="Make nets for the words of this file: one per line, `<unk>` first."
)


def _values(changes, config, words):
    """The settings of --set, --config and --vocabulary."""
    values = read_settings(changes, config)
    if words is None:
        return values
    tables = [table for table in values.values() if isinstance(table, dict)]
    if any("vocabulary" in each for each in (values, *tables)):
        raise click.UsageError("--vocabulary: the setting vocabulary is given too; leave one of them out")
    from data_prep import vocabulary

    return values | {"vocabulary": vocabulary.outputs(vocabulary.read(words))}


@nets.command(
    "write",
    examples=[
        (
            "Write a captioner for a vocabulary of your own, with LSTMs of 512 units",
            "lrcn nets write caption/lrcn-2f --vocabulary vocabulary.txt \\\n  --set units=512 --out nets",
        ),
        ("Write every net of the paper", "lrcn nets write --all --out nets"),
        ("Write the authors' own files", "lrcn nets write --published --out nets"),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.nets)
@option("--all", "everything", is_flag=True, help="Write every net, in each of its splits and training stages.")
@option("--published", is_flag=True, help="Write the 26 files of the authors, under their names.")
@option("--explain", is_flag=True, help="Say beside each value which setting it is, and where it comes from.")
@option("--out", type=FOLDER, required=True, help="Folder in which each net gets a folder.")
@option("--force", is_flag=True, help="Overwrite files that were edited, or that lrcn did not write.")
@WORDS
@settings_options
def nets_write(names, everything, published, explain, out, force, words, changes, config):
    """Write nets and their solvers as prototxt.

    Each net gets train_test.prototxt, deploy.prototxt and solver.prototxt.
    """
    from lrcn import net_files
    from netspecs import catalogue

    if bool(names) + everything + published != 1:
        raise click.UsageError(
            "name the nets to write, or give one of --all and --published; `lrcn nets list` shows them"
        )
    values = _values(changes, config, words)
    if published:
        if values:
            raise click.UsageError(
                "--published writes what the authors published: it takes no --set, --config or --vocabulary"
            )
        if explain:
            raise click.UsageError("--published writes the release itself; --explain goes with a NAME or --all")
        texts = net_files.published_texts()
    else:
        texts = {}
        for name, chosen in catalogue.share_out(values, catalogue.names() if everything else names).items():
            texts |= net_files.texts(name, chosen, everything, explain)
    net_files.write(texts, out, force)
    for folder in dict.fromkeys((out / path).parent for path in texts):
        print(folder)


@nets.command(
    "explain",
    examples=[
        ("Explain all settings of a net", "lrcn nets explain activity/lrcn-fc6-flow"),
        ("Explain the step size of fine-tuning", "lrcn nets explain caption/lrcn-2f stepsize --set stage=finetune"),
    ],
)
@click.argument("name", metavar="NAME", shell_complete=completion.nets)
@click.argument("setting", required=False)
@settings_options
@JSON
def nets_explain(name, setting, changes, config, as_json):
    """Say where each setting of a net comes from.

    That is a file and field of the authors' release, a section of the paper, or the reason why the value is our choice.
    SETTING names one of them. A value that you changed is shown with the published one.
    """
    from lrcn import net_files
    from lrcn.results.tables import described, folded
    from netspecs import catalogue
    from netspecs.origins import origins
    from prototxt_gen import SpecError, nearest

    variant = catalogue.get(name)
    every = origins(variant, catalogue.share_out(read_settings(changes, config), [name])[name])
    if setting is not None and setting not in every:
        raise SpecError(f"{name} has no setting '{setting}'{nearest(setting, every)}")
    chosen = list(every.values()) if setting is None else [every[setting]]
    if as_json:
        print(json.dumps([one._asdict() for one in chosen], indent=1))
        return
    lines = folded("", f"{name}: {variant.paper}", width(), 2)
    rows = []
    for one in chosen:
        given = f"{one.cause}; published {net_files.shown(one.published)}, " if one.cause else ""
        rows.append((f"{one.setting}={net_files.shown(one.value)}", given + one.text))
    print(*lines, *described(rows, width(), indent="  "), sep="\n")


def state_options(command):
    """--phase, --stage (more than once): what Caffe would really build."""
    return section(
        "State of the net",
        option(
            "--phase",
            type=click.Choice(["TRAIN", "TEST"], case_sensitive=False),
            metavar="TRAIN|TEST",
            help="Build the net of this phase.",
        ),
        option("--stage", "stages", multiple=True, metavar="STAGE", help="Build it in this stage; may be repeated."),
    )(command)


@nets.command(
    "show",
    examples=[
        ("Show a net of the paper, and draw it", "lrcn nets show caption/lrcn-2f --diagram 2f.svg"),
        ("Show the net of any prototxt in its test phase", "lrcn nets show train_test.prototxt --phase TEST"),
    ],
)
@click.argument("net", metavar="NAME|FILE", shell_complete=completion.nets_or_file)
@option("--deploy", "kind", flag_value="deploy", help="Show the deploy net of NAME.")
@option("--part", "kind", metavar="PART", help="Show another net of NAME, as deploy_images.")
@option(
    "--input",
    "inputs",
    multiple=True,
    metavar="BLOB=SIZES",
    help="Shape of what a data layer gives, as data=24,3,227,227; may be repeated.",
)
@lenient_option
@JSON
@option("--diagram", type=FILE, help="Draw the net too, as .svg or .png.")
@option("--brief", is_flag=True, help="With --diagram: draw names and sizes alone.")
@state_options
@section("State of the net", option("--level", type=int, default=0, help="Level, for the rules that ask for one."))
@WORDS
@settings_options
def nets_show(net, phase, stages, level, kind, inputs, words, changes, config, lenient, as_json, diagram, brief):
    """Show a net's layers, shapes, parameters and memory.

    NAME is a net of `lrcn nets list`, FILE any prototxt; of a solver its fields are shown, and its net. Without --phase
    the training net is shown if there is one. What only forks of Caffe have is reported as a problem.
    """
    from data_prep.whole_files import write_bytes
    from lrcn.commands import net_table
    from lrcn.results.plotting import matplotlib
    from prototxt_gen.diagram import drawn

    if brief and not diagram:
        raise click.UsageError("--brief: goes with --diagram; give both")
    check_apart(diagram, Path(net))
    chosen = net_table.choose(net, kind, _values(changes, config, words), phase, stages)
    shapes = net_table.look(chosen, level, dict(map(net_table.read_input, inputs)))
    if diagram:
        if diagram.suffix.lower() == ".png":
            matplotlib()
        content = drawn(shapes, diagram, net_table.heading(chosen), brief)
        diagram.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(diagram, content)
    if as_json:
        print(json.dumps(net_table.as_json(chosen, shapes, level), indent=1))
    else:
        print(net_table.as_text(chosen, shapes, lenient))


@nets.command(
    "diff",
    examples=[
        ("Compare two nets", "lrcn nets diff mine.prototxt theirs.prototxt"),
        ("Compare all nets of two folders", "lrcn nets diff nets release"),
    ],
)
@click.argument("a", metavar="A", type=click.Path(exists=True, path_type=Path))
@click.argument("b", metavar="B", type=click.Path(exists=True, path_type=Path))
@lenient_option
@JSON
@state_options
@click.pass_context
def nets_diff(context, a, b, phase, stages, lenient, as_json):
    """Compare two nets, two solvers or two folders by meaning.

    The order of fields, defaults and old spellings do not count as differences. With --phase and --stage the nets are
    compared as Caffe would build them. The exit code is 0 if they are the same, else 1.
    """
    from prototxt_gen.diff import file_differences

    if stages and not phase:
        raise click.UsageError("--stage: goes with --phase; give both")
    if a.is_dir() != b.is_dir():
        raise click.UsageError("give two files or two folders")
    if a.is_dir():
        names = [{str(path.relative_to(side)) for path in side.rglob("*.prototxt")} for side in (a, b)]
        if not names[0] | names[1]:
            raise click.UsageError(f"no .prototxt in {a} nor in {b}")
        pairs = {name: (a / name, b / name) for name in sorted(names[0] & names[1])}
        lonely = {"A": sorted(names[0] - names[1]), "B": sorted(names[1] - names[0])}
    else:
        pairs, lonely = {"": (a, b)}, {"A": [], "B": []}
    passed_over = [] if lenient else None
    differences = {name: file_differences(*pair, phase, stages, passed_over) for name, pair in pairs.items()}
    pass_over(passed_over or (), lenient)
    same = not any(differences.values()) and not any(lonely.values())
    if as_json:
        rows = [
            {"file": name, **asdict(one)} if name else asdict(one) for name in differences for one in differences[name]
        ]
        print(
            json.dumps(
                {"same": same, "differences": rows, "only_in_a": lonely["A"], "only_in_b": lonely["B"]}, indent=1
            )
        )
    else:
        for side, names in lonely.items():
            for name in names:
                print(f"only in {side}: {name}")
        for name, lines in differences.items():
            if name and lines:
                print(f"{name}:")
            for line in map(one_line, lines):
                print(f"  {line}" if name else line)
        if same:
            say("the same")
    context.exit(0 if same else 1)


@nets.command(
    "check",
    examples=[
        ("Check a solver and its nets", "lrcn nets check nets/lm/lstm-lm/solver.prototxt"),
        ("The same before the data are there", "lrcn nets check nets/lm/lstm-lm/solver.prototxt --no-data"),
    ],
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@option(
    "--folder",
    type=click.Path(exists=True, file_okay=False),
    show_default="the current folder, or the file's own if more of its files lie there",
    help="Folder in which Caffe will run: relative paths in the files start there.",
)
@option("--no-data", is_flag=True, help="Leave out the data that the nets read: lists, databases, means.")
@lenient_option
@JSON
@state_options
@click.pass_context
def nets_check(context, files, phase, stages, folder, no_data, lenient, as_json):
    """Find mistakes in nets and solvers before Caffe does.

    Each mistake is a line: FILE:LINE: what is wrong; how to mend it. The data files of a net are looked into too. A
    solver is checked with its nets. Without --phase and --stage a net is checked in every state in which Caffe could
    build it. The exit code is 0 if nothing is found, else 1.
    """
    from lrcn.activity import clip_settings
    from prototxt_gen.check import Hooks, check

    if stages and not phase:
        raise click.UsageError("--stage: goes with --phase; give both")
    hooks = Hooks(clip_settings.top_shapes, clip_settings.labels)
    checked = {name: check(name, phase, stages, folder, hooks, lenient, not no_data) for name in files}
    findings = [finding for each in checked.values() for finding in each.findings]
    pass_over(dict.fromkeys(line for each in checked.values() for line in each.passed_over), lenient)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for name, each in checked.items():
            print(*map(one_line, each.findings), sep="\n") if each.findings else say(f"{name}: {all_right(each)}")
        about_data = sum(finding.about_data for finding in findings)
        if about_data and not no_data:
            say(f"{about_data} of {len(findings)} are about the data that the nets read: --no-data leaves them out")
    context.exit(1 if findings else 0)


def all_right(checked):
    """That nothing was found: in which states, from which folder, and what could not be looked at."""
    text = f"no mistakes in {', '.join(checked.states)}"
    if checked.folder:
        text += f"; paths count from {checked.folder}"
    if checked.unknown:
        text += f"; not looked at, as only data tell them: the shapes of {', '.join(checked.unknown)}"
    return text


@nets.command(
    "weights",
    examples=[("Check that CaffeNet's weights fit a captioner", "lrcn nets weights caption/lrcn-2f caffenet")],
)
@click.argument("net", metavar="NAME|FILE", shell_complete=completion.nets_or_file)
@click.argument("caffemodel", metavar="CAFFEMODEL", type=WEIGHTS)
@option("--deploy", "kind", flag_value="deploy", help="Fill the deploy net of NAME.")
@lenient_option
@JSON
@state_options
@WORDS
@settings_options
@click.pass_context
def nets_weights(context, net, caffemodel, phase, stages, kind, words, changes, config, lenient, as_json):
    """Say which layers of a net a .caffemodel fills.

    NAME is a net of `lrcn nets list`, FILE any prototxt. Without --phase the training net is filled if there is one.
    The exit code is 0 if Caffe would accept the weights, 1 if it would stop at a clash.
    """
    from lrcn.activity import clip_settings
    from lrcn.commands import net_table
    from prototxt_gen.weights import plan, read_weights

    chosen = net_table.choose(net, kind, _values(changes, config, words), phase, list(stages))
    net_table.refuse_netless(chosen)
    pass_over(chosen.lacking, lenient)
    filled = plan(
        chosen.net,
        read_weights(caffemodel),
        chosen.phase,
        chosen.stages,
        inputs=chosen.inputs,
        python=clip_settings.top_shapes,
    )
    if as_json:
        print(json.dumps(net_table.weights_as_json(chosen, caffemodel, filled), indent=1))
    else:
        print(net_table.weights_as_text(filled))
        for note in filled.notes:
            say(one_line(note))
    context.exit(1 if filled.clashes else 0)
