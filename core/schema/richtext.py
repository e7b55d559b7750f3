"""The markup that `rich_text` keeps: a short list of tags, cleaned by nh3 wherever it passes."""

import html
import re

import nh3

#: What is kept; everything else is taken out, the text inside stays.
TAGS = frozenset(
    {
        *("p", "br", "div", "h2", "h3", "h4", "blockquote", "pre", "code", "hr"),
        *("b", "strong", "i", "em", "u", "s", "sub", "sup", "mark", "span"),
        *("ul", "ol", "li", "a", "table", "thead", "tbody", "tr", "th", "td"),
    }
)
_ATTRIBUTES = {"a": {"href", "title"}, "th": {"colspan"}, "td": {"colspan"}}
_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
#: Elements after which a reader expects a new line.
_BREAKS = re.compile(r"(?i)<br\s*/?>|</(?:p|div|li|tr|h[2-4]|blockquote|pre)>|<hr[^>]*>")
_TAG = re.compile(r"<[^>]*>")
_CLEANER = nh3.Cleaner(
    tags=set(TAGS),
    attributes=_ATTRIBUTES,
    url_schemes=set(_SCHEMES),
    link_rel="noopener noreferrer nofollow",
    strip_comments=True,
)


def cleaned(text: str) -> str:
    """Return markup of which nothing can run, load or restyle a page; `""` when it says nothing.

    Text without any tag is taken as it was typed: its line ends become `<br>`.
    """
    if "<" not in text:
        text = text.strip("\n").replace("\n", "<br>")
    made = _CLEANER.clean(text)
    return made if plain_text(made) or "<hr" in made else ""


def plain_text(markup: str) -> str:
    """Return what a reader sees of markup that is clean, without any tag, a line per block."""
    text = html.unescape(_TAG.sub("", _BREAKS.sub("\n", markup)))
    return re.sub(r"\n{3,}", "\n\n", text).strip()
