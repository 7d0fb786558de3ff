"""Every kind of place in a shell script, with a call that shows what the script sees there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["FRAGMENTS", "PLACES", "Place"]


@dataclass(frozen=True)
class Place:
    """A template that prints x, and perhaps y.

    :param expected: the arguments of each call of `show`.
    :param bash: whether only bash has such places.
    """

    template: str
    expected: Callable[[str, str], list[list[str]]]
    bash: bool = False


def one(x: str, y: str) -> list[list[str]]:
    return [[x]]


def line(x: str, y: str) -> list[list[str]]:
    return [[f"{x}\n"]]


QUIETLY = ">/dev/null 2>&1; show {{x}}\n"
PLACES = {
    "argument": Place("show {{x}}\n", one),
    "arguments": Place("show {{x}} {{y}}\n", lambda x, y: [[x, y]]),
    "adjacent": Place("show a{{x}}b{{y}}{{x}}\n", lambda x, y: [[f"a{x}b{y}{x}"]]),
    "adjacent quotes": Place("""show {{x}}'{{y}}'"{{x}}"\n""", lambda x, y: [[f"{x}{y}{x}"]]),
    "adjacent expansions": Place("v=v; show ${v}{{x}}$(echo w){{y}}\n", lambda x, y: [[f"v{x}w{y}"]]),
    "option": Place("show --out={{x}}\n", lambda x, y: [[f"--out={x}"]]),
    "before a tilde": Place('a={{x}}~/y; show "$a"\n', lambda x, y: [[f"{x}~/y"]]),
    "after a tilde": Place("show ~{{x}}\n", lambda x, y: [[f"~{x}"]]),
    "after the home": Place("show ~/{{x}}\n", lambda x, y: [[f"/home/of/someone/{x}"]]),
    "beside a glob": Place("show {{x}}no-such-*\n", lambda x, y: [[f"{x}no-such-*"]]),
    "beside a hash": Place("show a#{{x}} {{y}}#b\n", lambda x, y: [[f"a#{x}", f"{y}#b"]]),
    "after a continued line": Place("show \\\n{{x}} \\\n {{y}}\n", lambda x, y: [[x, y]]),
    "single quotes": Place("show 'a{{x}}b' '{{y}}'\n", lambda x, y: [[f"a{x}b", y]]),
    "double quotes": Place('show "a{{x}}b{{y}}" "{{x}}"\n', lambda x, y: [[f"a{x}b{y}", x]]),
    "double quotes and expansions": Place('v=v; show "${v}{{x}}$(echo w){{y}}$v"\n', lambda x, y: [[f"v{x}w{y}v"]]),
    "double quotes and backslashes": Place('show "a\\\\{{x}}\\$"\n', lambda x, y: [[f"a\\{x}$"]]),
    "substitution": Place('show "$(show {{x}} | tr "\\000" .)"\n', lambda x, y: [[f"1.{x}."]]),
    "quotes in a substitution": Place(
        'show "$(printf %s. "a{{x}}$(printf %s. {{y}})")"\n', lambda x, y: [[f"a{x}{y}.."]]
    ),
    "comment in a substitution": Place('show "$(printf %s. {{x}} # it\'s {{y}})\n)"\n', lambda x, y: [[f"{x}."]]),
    "assignment": Place('a={{x}}; show "$a"\n', one),
    "assignments": Place('a={{x}}b"{{y}}" b={{x}}; show "$a" "$b"\n', lambda x, y: [[f"{x}b{y}", x]]),
    "environment of a command": Place('a={{x}} sh -c \'printf "1\\0%s\\0" "$a"\'\n', one),
    "exported": Place('export a={{x}}; show "$a"\n', one),
    "like an assignment": Place("show a{{x}}=b\n", lambda x, y: [[f"a{x}=b"]]),
    "command": Place("( {{x}} ) " + QUIETLY, one),
    "command after if": Place("( if {{x}}; then {{y}}; fi ) " + QUIETLY, one),
    "command after !": Place("( ! {{x}} {{y}} ) " + QUIETLY, one),
    "command after an assignment": Place("( a=b {{x}} ) " + QUIETLY, one),
    "command after a redirection": Place("( </dev/null {{x}} ) " + QUIETLY, one),
    "command in a group": Place("( { {{x}}; } || ({{y}}) ) " + QUIETLY, one),
    "part of a command": Place("( d{{x}} || i{{x}} || {{x}}f ) " + QUIETLY, one),
    "loop": Place('for i in {{x}} {{y}}; do show "$i" {{x}}; done\n', lambda x, y: [[x, x], [y, x]]),
    "function": Place('f() { show "$@" {{x}}; }; f {{y}}\n', lambda x, y: [[y, x]]),
    "case": Place("case {{x}} in {{x}}) show {{x}};; *) show other;; esac\n", one),
    "patterns": Place(
        'case {{x}} in ({{y}}z|"{{y}}"z) show z;; a{{x}}b | {{x}}) show {{x}} ;; esac\n',
        lambda x, y: [["z"] if x == y + "z" else [x]],
    ),
    "among redirections": Place(
        "show {{x}} </dev/null 2>&1; show {{x}}>&1; show {{y}}\n", lambda x, y: [[x], [x], [y]]
    ),
    "file": Place("mkdir -p d; echo a >d/f{{x}}; cat <d/f{{x}} >/dev/null; rm -rf d; show {{x}}\n", one),
    "here-document": Place("read_all <<EOF\n{{x}}\na{{x}}b\nEOF\n", lambda x, y: [[f"{x}\na{x}b\n"]]),
    "here-document with expansions": Place(
        "read_all <<EOF\n{{x}}{{y}}\n$((1 + 1))$(echo '3')\\$ \"\\\\{{x}}\"\nEOF\n",
        lambda x, y: [[f'{x}{y}\n23$ "\\{x}"\n']],
    ),
    "here-document as it is": Place("read_all <<'EOF'\n{{x}}$v\\{{y}}\nEOF\n", lambda x, y: [[f"{x}$v\\{y}\n"]]),
    "here-document with tabs": Place("read_all <<-EOF\n\t{{x}}\n\t\tEOF\n", line),
    "here-document with tabs, as it is": Place("read_all <<-\\EOF\n\t{{x}}\n\tEOF\n", line),
    "here-documents": Place(
        "read_all <<A; read_all <<'B'\n{{x}}\nA\n{{y}}\nB\n", lambda x, y: [[f"{x}\n"], [f"{y}\n"]]
    ),
    "here-document in a substitution": Place('show "$(cat <<EOF\n{{x}}.\nEOF\n)"\n', lambda x, y: [[f"{x}."]]),
    "here-document in a substitution, as it is": Place(
        'show "$(cat <<"EOF"\n{{x}}.\nEOF\n)" {{y}}\n', lambda x, y: [[f"{x}.", y]]
    ),
    "beside a here-document": Place("( cat >/dev/null; show {{y}} ) <<EOF\n{{x}}\nEOF\n", lambda x, y: [[y]]),
    "comment": Place("show a # {{x}}\nshow {{y}}# {{x}}\n", lambda x, y: [["a"], [f"{y}#", x]]),
    "arithmetic": Place('show $((3 - {{x}})) "$(( {{x}}*2 ))"\n', lambda x, y: [[str(3 - int(x)), str(int(x) * 2)]]),
    "brace expansion": Place("show {a,{{x}}}\n", lambda x, y: [["a", x]], bash=True),
    "here-string": Place("read_all <<<{{x}}\n", line, bash=True),
    "array": Place('a=({{x}} b{{y}} "{{x}}"); show "${a[@]}"\n', lambda x, y: [[x, f"b{y}", x]], bash=True),
    "map": Place('declare -A a=([k]={{x}}); show "${a[k]}"\n', one, bash=True),
    "process substitution": Place("read_all < <(printf %s. {{x}})\n", lambda x, y: [[f"{x}."]], bash=True),
    "condition": Place('[[ {{x}} == {{x}} && ! {{x}} != "{{x}}" ]] && show {{x}}\n', one, bash=True),
    "pattern of a condition": Place("[[ a{{x}} == *{{x}} && {{x}} =~ ^{{x}}$ ]] && show {{x}}\n", one, bash=True),
    "numbers in a condition": Place('[[ {{x}} -eq "{{x}}" ]] && show {{x}}\n', one, bash=True),
    "arithmetic command": Place("(( {{x}} == {{x}} )) && show {{x}}\n", one, bash=True),
    "arithmetic loop": Place(
        "for ((i = {{x}}; i <= {{x}}; i++)); do show $i; done\n", lambda x, y: [[str(int(x))]], bash=True
    ),
    "array that is declared again": Place('a=(); declare a={{x}}; show "$a"\n', one, bash=True),
    "local variable": Place('f() { local a={{x}}; show "$a"; }; f\n', one, bash=True),
}

# Values are made of these.
FRAGMENTS = [
    "'", '"', "`", "$", "\\", "\n", " ", "\t", "\r", "\x01", "\x7f", "\x80", "\x81", "\x88", "\xff", ";", "&", "|",
    "<", ">", "(", ")", "{", "}", "[", "]", "!", "#", "~", "*", "?", "=", "-", "+", ":", "@", "%", "^", ",", "a", "b",
    "1", "0", "2", "-3", "é", "日本", "\u2028", "\U0001f600", "ﾡ\\", "C:\\new\\table", "if", "then", "done", "esac",
    "in", "case", "do", "fi", "time", "function", "[[", "]]", "eval", "x=y", "PATH=", "HOME", "EOF", "\nEOF\n", "EOF)",
    "A\n", "B", "#!", "~root", "${HOME}", "$HOME", "{a,b}", "[a-z]", "*", "@(a|b)", "/bin/echo", "//", "..",
    "$(touch canary)", "`touch canary`", ";touch canary;", "\ntouch canary\n", "';touch canary;'", '";touch canary;"',
    "a[$(touch canary)]", "|touch canary", "&touch canary&", ")touch canary(", "\nEOF\ntouch canary\n", "$((1+1))",
    "<(touch canary)", "($(touch canary))",
    "$'\\x41'", "\\x41", "\\101", "%s", "%n", "\\c", "--", "-n", "-e", "{{x}}", "pdt", "0z",
]  # fmt: skip
