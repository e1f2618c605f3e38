"""`python translate.py SOURCE RESULT`: a .cu or .cuh file as C++ that g++ compiles against the headers here.

`kernel<<<grid, block>>>(arguments)` becomes a call of emulated::launch, `extern __shared__ T name[]` a pointer; all
else, lines too, stays as it is. A kernel with barriers or shuffles is told from one without: its threads must take
turns, where those of all others run one after the other, which is quick.
"""

import re
import sys
from pathlib import Path

BARRIERS = re.compile(r"\b__(?:syncthreads|syncwarp|shfl\w*_sync)\b")
DYNAMIC_SHARED = re.compile(r"\bextern\s+__shared__\s+(?:__align__\(\d+\)\s+)?([\w:]+)\s+(\w+)\s*\[\s*\]\s*;")
NOT_CODE = re.compile(r"//(?:\\\n|[^\n])*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
CLOSING = {"(": ")", "{": "}", "[": "]"}


def main(source: str, result: str) -> None:
    text = Path(source).read_text(errors="replace")
    Path(result).write_text(f'#line 1 "{source}"\n{translated(text)}')


def translated(text: str) -> str:
    """Comments go, their lines stay: a launch may have one in its middle."""
    text = NOT_CODE.sub(lambda found: found[0] if found[0][0] in "\"'" else _blank(found[0]), text)
    taking_turns = _functions_with_barriers(text)
    text = DYNAMIC_SHARED.sub(r"\1* \2 = static_cast<\1*>(::emulated::dynamic_shared());", text)
    while opened := re.search(r"<<\s*<", text):
        begin = _begin_of_name(text, opened.start())
        name = " ".join(text[begin : opened.start()].replace("\\\n", " ").split())
        closed = re.compile(r">>\s*>[\s\\]*").search(text, opened.end())
        closing = _closing(text, closed.end())
        configuration, arguments = text[opened.end() : closed.start()], text[closed.end() + 1 : closing]
        turns = "true" if taking_turns & set(re.findall(r"\w+", name)) else "false"
        call = (
            f'::emulated::launch("{re.sub("##", "", name)}", {turns}, ::emulated::Configuration({configuration}), '
            f"[&](auto... emulated_arguments) {{ {name}(emulated_arguments...); }}"
            + (f", {arguments})" if arguments.strip() else ")")
        )
        lines = "\\\n" if "\\\n" in text[begin:closing] else "\n"
        missing = text[begin : closing + 1].count("\n") - call.count("\n")
        text = text[:begin] + call + lines * missing + text[closing + 1 :]
    return text


def _blank(comment: str) -> str:
    """Its line ends, with what makes them go on in a macro."""
    return " " + "".join(re.findall(r"\\?\n", comment))


def _begin_of_name(text: str, at: int) -> int:
    """Where the kernel begins that ends before `at`: `name`, `name<a, b>`, `space::name<a>`, `name##_kernel`, or an
    expression in brackets."""
    here = len(text[:at].rstrip(" \t\n\\"))
    if text[here - 1] == ")":
        return _opening(text, here, "()")
    if text[here - 1] == ">":
        here = _opening(text, here, "<>")
    return re.search(r"[\w:#]+\s*$", text[:here]).start()


def _opening(text: str, after: int, pair: str) -> int:
    """Where the bracket is that the one before `after` closes."""
    depth = 0
    while True:
        after -= 1
        depth += (text[after] == pair[1]) - (text[after] == pair[0])
        if depth == 0:
            return after


def _closing(text: str, opening: int) -> int:
    """Where the bracket is that closes the one at `opening`."""
    expected = []
    for found in re.compile(r"[(){}\[\]]|\"(?:\\.|[^\"\\\n])*\"").finditer(text, opening):
        if found[0] in CLOSING:
            expected.append(CLOSING[found[0]])
        elif expected and found[0] == expected[-1]:
            expected.pop()
            if not expected:
                return found.start()
    raise ValueError(f"{text[opening : opening + 40]!r} is not closed")


def _functions_with_barriers(text: str) -> set[str]:
    """The names of this file's device functions and kernels in whose bodies, or whose functions' bodies, threads
    wait."""
    bodies = {}
    for found in re.finditer(r"__(?:global|device)__", text):
        head = re.compile(r"(?:__launch_bounds__\s*\([^()]*\)|[^(){};=])*?\b(\w+)\s*\(").match(text, found.end())
        if not head:
            continue
        after = _closing(text, head.end() - 1) + 1
        if brace := re.compile(r"[\s\\]*\{").match(text, after):
            bodies[head[1]] = text[after : _closing(text, brace.end() - 1)]
    names = {name for name, body in bodies.items() if BARRIERS.search(body)}
    while more := {
        name
        for name, body in bodies.items()
        if name not in names and any(re.search(rf"\b{other}\b", body) for other in names)
    }:
        names |= more
    return names


if __name__ == "__main__":
    main(*sys.argv[1:])
