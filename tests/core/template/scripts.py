"""Scripts of any shape, most of which a shell can read, with the value x at many places."""

from __future__ import annotations

from random import Random

__all__ = ["random_script"]

VALUE = "{{x}}"
# A script is damaged with these.
PIECES = [
    "show ", "show ", "\nshow ", " ", " ", "\n", "\t", "{{x}}", "{{x}}", "{{x}}", "{{x}}", "'", "'", '"', '"', "a",
    "b=", "=", "\\", "\\\n", "$", "#", " # ", "$(", ")", "`", "(", "; ", ";;", "|cat\n", " || ", "&& ", "& ", "${",
    "}", "${HOME", ":-", "$HOME", "{ ", "; }", "$((", "))", "<<EOF\n", "\nEOF\n", "<<'EOF'\n", "<<-EOF\n\t",
    "cat <<EOF\n", "</dev/null ", "2>&1", "2>", ">&", "<", "~", "*", "?", "[", "]", ",", "/", ":", "if ", "; then ",
    "; fi\n", "for i in ", "; do ", "; done\n", "! ", "$'", "@(", "$(echo ", "$(cat <<EOF\n", "f() { ", "EOF", "i",
    "f", "1", "+", "-", "case a in ", " a) ", " esac\n", "[[ ", " ]]", " == ", " =~ ", "<(", "b=(", "$\\\n", "$1",
    "$#", "$@", "time ", "eval ", "sh -c ",
]  # fmt: skip
BARE = [
    "a",
    "b=",
    "~",
    "*",
    "?",
    "[a]",
    "{",
    "}",
    ",",
    "/",
    "$HOME",
    "${HOME}",
    "-",
    "=",
    "\\\n",
    "\\a",
    "$1",
    "#",
    "@",
    "$",
]
PLAIN = [VALUE, VALUE, "a", "$HOME", "${HOME}", "\\\\", "\\$", "#", " ", "~", "*", "1", ":", "\n"]
QUOTED = [VALUE, "a" + VALUE, "\\" + VALUE, "\n" + VALUE, "$" + VALUE, ""]
EXPANDED = [
    "${HOME:-a}", "${HOME:-'a'}", '${HOME:-"a"}', "${HOME%'a'}", '${HOME%"/"}', "$((1+(2)))", "$(($#))", "`echo a`"
]  # fmt: skip
DELIMITERS = ["EOF", "'EOF'", "-EOF", '"EOF"', "\\EOF"]
AFTER_DELIMITER = ["", "", " | cat", " # " + VALUE, "; show a " + VALUE]
BETWEEN = ["; ", "\n", " | cat\n", " || ", " && ", f"\n# it's {VALUE}\n"]


def random_script(random: Random) -> str:
    """Return a script, in every second case one that is damaged."""
    script = _command(random, random.randint(0, 3)) + "\n"
    for _ in range(random.choice([0, 0, 1, 2])):
        at = random.randrange(len(script))
        script = script[:at] + random.choice(["", script[at] * 2, random.choice(PIECES)]) + script[at + 1 :]
    return script


def _expansion(random: Random, depth: int) -> str:
    if depth <= 0 or random.random() < 0.4:
        return random.choice(EXPANDED)
    if random.random() < 0.7:
        return f"$({_command(random, depth - 1)})"
    return f"$(cat <<E\n{_text(random, depth - 1)}\nE\n)"


def _text(random: Random, depth: int) -> str:
    pieces = PLAIN[: random.choice([4, 8, len(PLAIN)])]
    return "".join(
        random.choice(pieces) if random.random() < 0.8 else _expansion(random, depth)
        for _ in range(random.randint(1, 3))
    )


def _word(random: Random, depth: int) -> str:
    kinds = random.choices(["value", "bare", "single", "double", "expansion"], [7, 3, 3, 4, 3], k=random.randint(1, 3))
    made = {
        "value": lambda: VALUE,
        "bare": lambda: random.choice(BARE),
        "single": lambda: f"'{random.choice(QUOTED)}'",
        "double": lambda: f'"{_text(random, depth - 1)}"',
        "expansion": lambda: _expansion(random, depth),
    }
    return "".join(made[kind]() for kind in kinds)


def _simple(random: Random, depth: int) -> str:
    words = " ".join(_word(random, depth) for _ in range(random.randint(1, 3)))
    comment = f" # {_text(random, 0)}" if random.random() < 0.15 else ""
    return f"show {words}{comment}" + random.choice(["", "\n"])


def _document(random: Random, depth: int) -> str:
    lines = "".join(_text(random, depth) + random.choice(["", "\n", " \"'"]) for _ in range(random.randint(1, 2)))
    return f"read_all <<{random.choice(DELIMITERS)}{random.choice(AFTER_DELIMITER)}\n{lines}\nEOF\n"


def _command(random: Random, depth: int) -> str:
    if depth <= 0 or random.random() < 0.35:
        return _simple(random, depth)
    one, other, word = _command(random, depth - 1), _command(random, depth - 1), _word(random, depth - 1)
    return random.choice(
        [
            one + random.choice(BETWEEN) + other,
            f"( {one} )",
            f"{{ {one}; }}",
            f"if {one}; then {other}; fi",
            f"for i in {word}; do {one}; done",
            f'case a in (a | "b") {one} ;; *) {other};; esac',
            f"case a in b) {one} ;; *) {other} esac",
            f"f() {{ {one}; }}; f {word}",
            f'b={word}; show "$b"',
            _document(random, depth - 1),
        ]
    )
