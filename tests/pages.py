"""Reading back the HTML that a notebook shows."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """The paragraphs and the tables' rows of a page; every tag is closed in its turn."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.paragraphs: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert tag in ("div", "p", "table", "thead", "tbody", "tr", "th", "td", "sup")
        assert set(dict(attrs)) <= {"scope", "style"}
        self.open.append(tag)
        if tag == "p":
            self.paragraphs.append("")
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "p" in self.open:
            self.paragraphs[-1] += data
        elif "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data


def same(thing) -> Page:
    """The page, once its words and numbers are found to be those of the text, in order."""
    page = Page(thing._repr_html_())
    shown = [*page.paragraphs, *(cell for table in page.tables for row in table for cell in row)]
    bare = re.sub(r"\^\(([^()]*)\)|\^", lambda found: found[1] or "", str(thing))  # a superscript has no sign
    assert sorted(" ".join(shown).split()) == sorted(bare.split())
    return page
