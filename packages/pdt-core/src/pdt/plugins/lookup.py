"""What to say where a name of a backend leads nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pdt.errors import PluginError, UnknownBackendError
from pdt.plugins.claims import Claims, spoken
from pdt.plugins.discover import canonical
from pdt.plugins.known import PACKAGES, owner
from pdt.plugins.loading import Plugin
from pdt.plugins.spec import KINDS

__all__ = ["check_kind", "no_winner", "not_in_dist", "unusable"]

_SEE = "`pdt plugins` lists what is installed"


def check_kind(kind: str) -> None:
    """Refuse a kind that there is not.

    :raises PluginError: where there is no such kind.
    """
    if kind not in KINDS:
        text = f"{kind!r} is not a kind of backend{_near_miss(kind, KINDS)}"
        raise PluginError(text, fix=f"use one of {', '.join(KINDS)}")


def no_winner(kind: str, name: str, claims: Claims, plugins: Sequence[Plugin]) -> PluginError:
    """Return the error for a bare name that no plugin has, or that more than one has."""
    what = f"{spoken(kind)} {name!r}"
    references = [f"'{plugin.dist}:{name}'" for plugin in claims.claimants(kind, name)]
    package = owner(kind, name)
    for plugin in plugins:
        ours = package is not None and canonical(plugin.dist) == package
        if not plugin.usable and (ours or (kind, name) in plugin.backends):
            return unusable(what, plugin)
    if package is not None:
        return _missing(what, package, references, plugins)
    if references:
        dists = " and ".join(plugin.dist for plugin in claims.claimants(kind, name))
        return PluginError(f"{what} is in {dists}", fix=f"write {' or '.join(references)}")
    elsewhere = claims.kinds(name)
    if elsewhere:
        kinds = " and ".join(map(spoken, elsewhere))
        return UnknownBackendError(f"there is no {what}, but there is a {kinds} of that name", fix=_SEE)
    names = {
        *claims.names(kind),
        *(known for ours in PACKAGES.values() for known in ours.backends.get(kind, ())),
    }
    return UnknownBackendError(f"there is no {what}{_near_miss(name, names)}{_suspects(plugins)}", fix=_SEE)


def not_in_dist(kind: str, dist: str, name: str, plugins: Sequence[Plugin]) -> PluginError:
    """Return the error for ``dist:name`` where that distribution does not have it."""
    what = f"{spoken(kind)} {name!r}"
    named = [plugin for plugin in plugins if canonical(plugin.dist) == canonical(dist)]
    for plugin in named:
        if not plugin.usable:
            return unusable(what, plugin)
    if named:
        names = {has for plugin in named for of, has in plugin.backends if of == kind}
        return UnknownBackendError(f"there is no {what} in {dist}{_near_miss(name, names)}", fix=_SEE)
    if canonical(dist) in PACKAGES:
        return UnknownBackendError(f"{dist} is not installed", fix=f"pip install {canonical(dist)}")
    close = _near_miss(dist, {plugin.dist for plugin in plugins})
    return UnknownBackendError(f"no plugin is in a distribution called {dist!r}{close}", fix=_SEE)


def unusable(what: str, plugin: Plugin) -> PluginError:
    """Return the error for something in a plugin that is not usable."""
    where = f"{plugin.dist} {plugin.version}".strip()
    return PluginError(f"{what} is in {where}, which is {plugin.state}: {plugin.reason}", fix=plugin.fix)


def _missing(what: str, package: str, references: list[str], plugins: Sequence[Plugin]) -> PluginError:
    for plugin in plugins:
        if canonical(plugin.dist) == package:
            text = f"{what} is not in the installed {package} {plugin.version}"
            return UnknownBackendError(text, fix=f"pip install -U {package}")
    fix = f"pip install {package}"
    if references:
        fix += f", or write {' or '.join(references)}"
    return UnknownBackendError(f"{what} is not installed", fix=fix)


def _near_miss(name: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name.lower(), sorted(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _suspects(plugins: Sequence[Plugin]) -> str:
    unloaded = [f"{plugin.dist} ({plugin.state})" for plugin in plugins if not plugin.usable]
    return f"; it may be in a plugin that is not loaded: {', '.join(unloaded)}" if unloaded else ""
