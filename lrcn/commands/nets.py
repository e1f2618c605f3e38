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
from lrcn.commands.options import JSON


@click.group()
def nets():
    """List the nets of the paper and write them as prototxt."""


@nets.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.nets)
@click.option("--task", type=click.Choice(["activity", "caption", "lm", "video"]), help="Only this task's nets.")
@JSON
def nets_list(names, task, as_json):
    """Every net: task, place in the paper, parameters, inputs. With a NAME: its settings and their published values."""
    from lrcn import net_files
    from lrcn.results.tables import described, folded, table_or_records
    from netspecs import catalogue
    from prototxt_gen.shapes import infer

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


@nets.command("write")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.nets)
@click.option("--all", "everything", is_flag=True, help="Every net of the catalogue, every split and stage of it.")
@click.option("--published", is_flag=True, help="The authors' 26 files, under their names.")
@click.option("--explain", is_flag=True, help="Say beside each value which setting it is and where that comes from.")
@click.option("--out", type=FOLDER, required=True, help="A folder a net is made in this one.")
@click.option("--force", is_flag=True, help="Overwrite files that were edited since, or that lrcn did not write.")
@settings_options
def nets_write(names, everything, published, explain, out, force, changes, config):
    """Write train_test.prototxt, deploy.prototxt and solver.prototxt of nets."""
    from lrcn import net_files
    from netspecs import catalogue

    if bool(names) + everything + published != 1:
        raise click.UsageError(
            "name the nets to write, or give one of --all and --published; `lrcn nets list` shows them"
        )
    values = read_settings(changes, config)
    if published:
        if values:
            raise click.UsageError("--published writes what the authors published: it takes no --set and no --config")
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


@nets.command("explain")
@click.argument("name", metavar="NAME")
@click.argument("setting", required=False)
@settings_options
@JSON
def nets_explain(name, setting, changes, config, as_json):
    """Where each value of a net's settings comes from: the file and field of the release, the paper, or why it is ours.

    With --set stage=finetune it is that training's; what is set otherwise than published is named with what is.
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
    command = click.option("--stage", "stages", multiple=True, metavar="STAGE", help="A stage; or several.")(command)
    return click.option("--phase", type=click.Choice(["TRAIN", "TEST"], case_sensitive=False), help="Only this phase.")(
        command
    )


@nets.command("show")
@click.argument("net", metavar="NAME|FILE", shell_complete=completion.nets_or_file)
@state_options
@click.option("--level", type=int, default=0, help="The level, for rules that ask for one.")
@click.option("--deploy", "kind", flag_value="deploy", help="A NAME's deploy net, not the one that trains and tests.")
@click.option("--part", "kind", metavar="PART", help="Another of a NAME's nets, as deploy_images.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="BLOB=SIZES",
    help="The shape of a data layer's top, as data=24,3,227,227; more than once.",
)
@settings_options
@lenient_option
@JSON
@click.option("--diagram", type=FILE, metavar="OUT.svg|OUT.png", help="Draw the net, too.")
@click.option("--brief", is_flag=True, help="In the drawing: names and sizes alone, to be read where it is small.")
def nets_show(net, phase, stages, level, kind, inputs, changes, config, lenient, as_json, diagram, brief):
    """Layers of a net with their shapes, parameters, multiply-adds and memory; of a solver its fields and its net.

    Without --phase it is the training net where there is one; without --stage a NAME's solver says the stages. What
    only forks of Caffe have is a problem, or with --lenient a note.
    """
    from data_prep.whole_files import write_bytes
    from lrcn.commands import net_table
    from lrcn.results.plotting import matplotlib
    from prototxt_gen.diagram import drawn

    check_apart(diagram, Path(net))
    chosen = net_table.choose(net, kind, read_settings(changes, config), phase, stages)
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


@nets.command("diff")
@click.argument("a", metavar="A", type=click.Path(exists=True, path_type=Path))
@click.argument("b", metavar="B", type=click.Path(exists=True, path_type=Path))
@state_options
@lenient_option
@JSON
@click.pass_context
def nets_diff(context, a, b, phase, stages, lenient, as_json):
    """What differs between two nets, two solvers or two folders of them, by meaning. Exit code 1 where something does.

    With --phase and --stage, nets are compared as Caffe would build them.
    """
    from prototxt_gen.diff import file_differences

    if stages and not phase:
        raise click.UsageError("--stage says more of a --phase; give it too")
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


@nets.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@state_options
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False),
    help="Where Caffe will be run, from which the paths in the files count (the current folder).",
)
@lenient_option
@JSON
@click.pass_context
def nets_check(context, files, phase, stages, folder, lenient, as_json):
    """What Caffe would only say while crashing, as FILE:LINE: what is wrong; the mend. Exit code 1 where something is.

    A solver is checked with its nets, in every state in which it builds them. For a net alone, --phase and --stage say
    in which; without them it is every state that its rules leave open.
    """
    from lrcn.activity import clip_settings
    from prototxt_gen.check import Hooks, check

    if stages and not phase:
        raise click.UsageError("--stage says more of a --phase; give it too")
    hooks = Hooks(clip_settings.top_shapes, clip_settings.labels)
    looked_at = {name: [] for name in files}
    passed_over = [] if lenient else None
    findings = {name: check(name, phase, stages, folder, hooks, looked_at[name], passed_over) for name in files}
    pass_over(passed_over or (), lenient)
    if as_json:
        print(json.dumps([asdict(finding) for each in findings.values() for finding in each], indent=1))
    else:
        for name, each in findings.items():
            print(*map(one_line, each), sep="\n") if each else say(
                f"{name}: nothing found in {', '.join(looked_at[name])}"
            )
    context.exit(1 if any(findings.values()) else 0)


@nets.command("weights")
@click.argument("net", metavar="NAME|FILE", shell_complete=completion.nets_or_file)
@click.argument("caffemodel", metavar="CAFFEMODEL", type=WEIGHTS)
@state_options
@click.option("--deploy", "kind", flag_value="deploy", help="A NAME's deploy net, not the one that trains and tests.")
@settings_options
@lenient_option
@JSON
@click.pass_context
def nets_weights(context, net, caffemodel, phase, stages, kind, changes, config, lenient, as_json):
    """What Caffe would copy from weights into a net, layer by layer. Exit code 1 where it would stop at a clash.

    Without --phase it is the training net where there is one; without --stage a NAME's solver says the stages.
    """
    from lrcn.activity import clip_settings
    from lrcn.commands import net_table
    from prototxt_gen.weights import plan, read_weights

    chosen = net_table.choose(net, kind, read_settings(changes, config), phase, list(stages))
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
