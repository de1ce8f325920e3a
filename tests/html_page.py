"""A page of HTML as a test sees it: its elements, its text, and whether all that opens is closed."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input", "hr"}


@dataclass
class Page:
    elements: list = field(default_factory=list)
    text: str = ""

    @classmethod
    def read(cls, source):
        page, open_elements = cls(), []

        class Reader(HTMLParser):
            def handle_starttag(self, tag, attributes):
                page.elements.append((tag, dict(attributes)))
                if tag not in VOID:
                    open_elements.append(tag)

            def handle_startendtag(self, tag, attributes):
                page.elements.append((tag, dict(attributes)))

            def handle_endtag(self, tag):
                assert open_elements, f"</{tag}> closes nothing"
                assert open_elements.pop() == tag, f"</{tag}> closes another element"

            def handle_data(self, data):
                page.text += data

        Reader().feed(source)
        assert open_elements == []
        return page

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
