"""A configuration goes in, the tariff books and control policies that it names come out, parsed and checked."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prewatt.config import Config, check
from prewatt.config import load as load_config
from prewatt.errors import BadConfig, Usage
from prewatt.home import find
from prewatt.strict import suggest

if TYPE_CHECKING:
    from control.policy import Policy
    from storage.records import BookVersion
    from tariff.book import Book


def books(config: Config) -> "dict[str, Book]":
    """Every book by name: the shipped ones, replaced and joined by the files of the home's books folder."""
    from tariff.book import shipped

    found = {name: read_book(config, name) for name in shipped()}
    for path in sorted(config.home.under(config.books.directory).glob("*.toml")):
        found[path.stem] = read_book(config, str(path))
    default = config.books.default
    if default and default not in found:
        raise BadConfig(
            f"no book {default!r}", which=f"{config.home.config}: books.default", attempt=suggest(default, found)
        )
    return found


def read_book(config: Config, name: str) -> "Book":
    """One book: a file by its path, else by name from the home's books folder, else one that is shipped.

    The series of a file lie beside it, those of a shipped book in the home's books folder.
    """
    from tariff.book import load

    text, path = book_text(config, name)
    if path is None:
        return load(text, name, series=_beside(config.home.under(config.books.directory)))
    return load(text, path.stem, path=str(path), series=_beside(path.parent))


def book_text(config: Config, name: str) -> tuple[str, Path | None]:
    """The TOML of a book, and its file unless it is a shipped one."""
    from tariff.book import shipped, shipped_text

    own = config.home.under(config.books.directory) / f"{name}.toml"
    path = Path(name) if name.endswith(".toml") else own
    if path.is_file():
        return path.read_text(encoding="utf-8"), path
    if name in shipped():
        return shipped_text(name), None
    raise Usage(f"no book {name!r}", attempt=suggest(name, shipped()))


def read_kept(config: Config, kept: "BookVersion") -> "Book":
    """A book as it was when bills were made with it; its series are those of the home's books folder."""
    from tariff.book import load

    return load(kept.text, kept.book, path=f"{kept.book}@{kept.book_hash[:12]}", series=series_of(config))


def series_of(config: Config) -> Callable[[str], bytes]:
    """Opens the price files of kept books, from the home's books folder."""
    return _beside(config.home.under(config.books.directory))


def _beside(folder: Path) -> Callable[[str], bytes]:
    """Opens the series files that a book names, from its own folder."""
    return lambda name: (folder / name).read_bytes()


def policies(config: Config) -> "Mapping[str, Policy]":
    """The policy of each customer class, from the template that the configuration gives it."""
    from control.policy import CLASSES

    for name in config.policies.classes:
        if name not in CLASSES:
            raise BadConfig(
                f"no customer class {name!r}",
                which=f"{config.home.config}: policies.classes",
                attempt=suggest(name, CLASSES),
            )
    return {klass: _policy(config, klass) for klass in CLASSES}


def _policy(config: Config, klass: str) -> "Policy":
    from control.policy import load

    text, file = policy_text(config, klass)
    return load(text, file, klass)


def policy_text(config: Config, klass: str) -> tuple[str, str]:
    """The TOML of the policy that a class follows (the home's own, else a shipped one), and its name in messages."""
    from control.policy import TEMPLATES, template_text

    name = config.policies.classes.get(klass, config.policies.template)
    path = config.home.under(config.policies.directory) / f"{name}.toml"
    if path.is_file():
        return path.read_text(encoding="utf-8"), str(path)
    if name not in TEMPLATES:
        raise BadConfig(
            f"no policy {name!r}", which=f"{config.home.config}: policies", attempt=suggest(name, TEMPLATES)
        )
    return template_text(name), f"{name}.toml"


def all_books(home: Path | None) -> "dict[str, Book]":
    """The shipped books, with those of a home when there is one."""
    return books(_config(home))


def one_book(home: Path | None, name: str) -> "Book":
    """A book for a verb that works without a home too."""
    return read_book(_config(home), name)


def _config(option: Path | None) -> Config:
    home = find(option)
    return load_config(home) if home.config.is_file() or option else check("", home)
