#!/usr/bin/env python3
"""Every link from one page of this repository to another has its page, and its heading there."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]


def prose_of(text: str) -> str:
    """Without code, in which brackets are no links."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("](", "] ("), text)


def anchors_of(text: str) -> set[str]:
    """As GitHub makes them: lower case, blanks as dashes, other signs left out; a second of a name has -1."""
    anchors: set[str] = set()
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
        anchor = re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")
        number, unique = 0, anchor
        while unique in anchors:
            number += 1
            unique = f"{anchor}-{number}"
        anchors.add(unique)
    return anchors


def is_ours(page: pathlib.Path) -> bool:
    return page.name != "template.md" and not {"build", ".git", "node_modules", "state"} & set(page.parts)


def main() -> int:
    pages = {page: page.read_text() for page in sorted(ROOT.rglob("*.md")) if is_ours(page.relative_to(ROOT))}
    broken, links = [], 0
    for page, text in pages.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(text)):
            if re.match(r"[a-z]+:", target):
                continue
            links += 1
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}: there is no {path}")
            elif anchor and anchor not in anchors_of(pages.get(file, "")):
                broken.append(f"{page.relative_to(ROOT)}: {target}: no heading gives #{anchor}")
    print("\n".join([*broken, f"{links} links on {len(pages)} pages, {len(broken)} broken"]))
    return 1 if broken or not links else 0


if __name__ == "__main__":
    sys.exit(main())
