"""`pdt completion`: the scripts with which shells complete what is typed after `pdt`."""

from __future__ import annotations

from .. import exits, output

__all__ = ["completion"]

# Each script asks `pdt __complete` with the words up to the cursor, and falls back on names of files.
BASH = """\
_pdt_complete() {
    local line word=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    [ "$word" = : ] && word=
    while IFS=$'\\t' read -r line _; do
        case $line in "$word"*) COMPREPLY+=("$line") ;; esac
    done < <(pdt __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -o bashdefault -F _pdt_complete pdt
"""
ZSH = """\
#compdef pdt
_pdt_complete() {
    local -a found
    local line
    while IFS=$'\\t' read -r line rest; do
        found+=("${line//:/\\\\:}:$rest")
    done < <(pdt __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( $#found )); then
        _describe 'pdt' found
    else
        _files
    fi
}
if [ "$funcstack[1]" = _pdt ]; then _pdt_complete "$@"; else compdef _pdt_complete pdt; fi
"""
FISH = """\
function __pdt_complete
    set -l words (commandline -opc) (commandline -ct)
    pdt __complete $words[2..] 2>/dev/null
end
complete -c pdt -a '(__pdt_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion(*, shell: str) -> int:
    """Print the script for a shell; for bash: `eval "$(pdt completion bash)"`.

    :param shell: bash, zsh or fish.
    """
    output.write(SCRIPTS[shell])
    return exits.OK
