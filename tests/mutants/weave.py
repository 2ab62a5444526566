"""Weaves mutants into a copy of the tree: all that cargo-mutants lists, at once, each behind a switch that is chosen when a test starts.

A build of nflab's tests takes half a minute and more, and the tests of a room a second; so one build has to serve them all. What stands at a mutant's place
becomes `(if crate::mutant::on(7) { a != b } else { a == b })`. A mutant that is no good this way (what it puts in does not compile, or its place is a
constant) is left out, and said.
"""

import json
import re
import subprocess
from dataclasses import dataclass, field

import tree_sitter_rust
from tree_sitter import Language, Parser

SWITCH = """//! Which mutant lives: `NFLAB_MUTANT`, a number; none without it.

use std::sync::OnceLock;

#[inline]
pub fn on(number: u32) -> bool {
    static CHOSEN: OnceLock<u32> = OnceLock::new();
    *CHOSEN.get_or_init(|| std::env::var("NFLAB_MUTANT").map_or(0, |it| it.parse().expect("a number"))) == number
}
"""

PARSER = Parser(Language(tree_sitter_rust.language()))


@dataclass
class Site:
    """A place in a file at which one or more mutants are."""

    start: int
    end: int
    kind: str
    mutants: list = field(default_factory=list)
    node: object = None
    children: list = field(default_factory=list)


class File:
    def __init__(self, path, text, mutants):
        self.path, self.text = path, text
        lines = text.decode().split("\n")
        self.starts = [0]
        for line in lines:
            self.starts.append(self.starts[-1] + len(line.encode()) + 1)
        self.lines = lines
        self.tree = PARSER.parse(text)
        self.mutants = mutants

    def offset(self, at):
        return self.starts[at["line"] - 1] + len(self.lines[at["line"] - 1][: at["column"] - 1].encode())

    def span(self, mutant):
        return self.offset(mutant["span"]["start"]), self.offset(mutant["span"]["end"])

    def sites(self, left_out):
        """The sites of all mutants that are not left out, and those for which there is no form, with why."""
        sites, formless = {}, {}
        for mutant in self.mutants:
            if mutant["id"] in left_out:
                continue
            site = self.site(mutant)
            if site is None:
                formless[mutant["id"]] = "unviable" if self.is_in_let_chain(mutant) else "slow"
                continue
            key = (site.start, site.end, site.kind)
            sites.setdefault(key, site).mutants.append(mutant)
        return list(sites.values()), formless

    def is_in_let_chain(self, mutant):
        """`||` cannot stand beside a `let`."""
        node = self.tree.root_node.descendant_for_byte_range(*self.span(mutant))
        return mutant["replacement"] == "||" and node.parent is not None and node.parent.type == "let_chain"

    def site(self, mutant):
        start, end = self.span(mutant)
        node = self.tree.root_node.descendant_for_byte_range(start, end)
        match mutant["genre"]:
            case "BinaryOperator":
                while node and node.type not in ("binary_expression", "compound_assignment_expr"):
                    node = node.parent if (node.start_byte, node.end_byte) == (start, end) else None
                return node and Site(node.start_byte, node.end_byte, "whole", node=node)
            case "UnaryOperator":
                while node and node.type != "unary_expression":
                    node = node.parent if node.start_byte == start else None
                return node and Site(node.start_byte, node.end_byte, "whole", node=node)
            case "FnValue" if "impl " in mutant["function"]["return_type"]:
                # Two ways out of such a function have to be of one type.
                return None
            case "FnValue":
                while node and node.type != "function_item":
                    node = node.parent
                body = node and node.child_by_field_name("body")
                return body and Site(body.start_byte + 1, body.start_byte + 1, "body", node=body)
            case "MatchArmGuard":
                while node and node.type != "match_pattern":
                    node = node.parent
                guard = node and node.child_by_field_name("condition")
                return guard and Site(guard.start_byte, guard.end_byte, "guard", node=guard)
            case "MatchArm":
                while node and node.type != "match_arm":
                    node = node.parent
                pattern = node and node.child_by_field_name("pattern")
                guard = pattern and pattern.child_by_field_name("condition")
                if guard:
                    return Site(guard.start_byte, guard.end_byte, "guard", node=guard)
                return pattern and Site(pattern.end_byte, pattern.end_byte, "arm", node=node)
            case "StructField":
                # The comma is part of what is deleted.
                node = self.tree.root_node.descendant_for_byte_range(start, start + 1)
                while node and node.type not in ("field_initializer", "shorthand_field_initializer"):
                    node = node.parent
                base = node and next((it for it in node.parent.children if it.type == "base_field_initializer"), None)
                if base and node.type == "shorthand_field_initializer":
                    return Site(node.start_byte, node.end_byte, "short", node=(node, base))
                value = base and node.child_by_field_name("value")
                return value and Site(value.start_byte, value.end_byte, "field", node=(node, base))
        return None

    def woven(self, left_out):
        sites, formless = self.sites(left_out)
        sites.sort(key=lambda site: (site.start, -site.end, site.kind != "whole"))
        return self.render(0, len(self.text), sites).decode(), formless

    def render(self, start, end, sites):
        """The text from `start` to `end`, with the sites in it (sorted; those inside another follow it)."""
        out, at, index = [], start, 0
        while index < len(sites):
            site = sites[index]
            inner = index + 1
            while inner < len(sites) and sites[inner].start < site.end:
                inner += 1
            out += [self.text[at : site.start], self.render_site(site, sites[index + 1 : inner])]
            at, index = site.end, inner
        return b"".join(out + [self.text[at:end]])

    def render_site(self, site, inside):
        name = f"{site.mutants[0]['id']}".encode()
        text = self.render(site.start, site.end, inside)
        return b"/*S%s*/%s/*s%s*/" % (name, self.form(site, text), name)

    def form(self, site, text):
        on = lambda mutant: b"crate::mutant::on(%d)" % mutant["id"]
        marked = lambda mutant, text: b"/*M%d*/%s/*m%d*/" % (mutant["id"], text, mutant["id"])
        one_of = lambda variants, other: b"(%selse { %s })" % (
            b"".join(b"if %s { %s } else " % (on(it), marked(it, variant)) for it, variant in variants).removesuffix(b"else "),
            other,
        )
        match site.kind:
            case "whole":
                return one_of([(it, self.replaced(site, it)) for it in site.mutants], text)
            case "body":
                each = (b"if %s { return %s; }" % (on(it), marked(it, it["replacement"].encode())) for it in site.mutants)
                return b" " + b" ".join(each)
            case "guard":
                arms = [it for it in site.mutants if it["genre"] == "MatchArm"]
                guards = [(it, it["replacement"].encode()) for it in site.mutants if it["genre"] != "MatchArm"]
                text = one_of(guards, text) if guards else b"(%s)" % text
                return b"".join(b"!%s && " % on(it) for it in arms) + text
            case "arm":
                return b" if " + b" && ".join(b"!%s" % on(it) for it in site.mutants)
            case "field" | "short":
                name = (site.node[0].child_by_field_name("field") or site.node[0]).text
                base = site.node[1].text.removeprefix(b"..")
                value = one_of([(it, b"(%s).%s" % (base, name)) for it in site.mutants], text)
                return value if site.kind == "field" else name + b": " + value

    def replaced(self, site, mutant):
        start, end = self.span(mutant)
        return self.text[site.start : start] + mutant["replacement"].encode() + self.text[end : site.end]


def add_switch(tree):
    (tree / "src/mutant.rs").write_text(SWITCH)
    library = tree / "src/lib.rs"
    library.write_text(library.read_text() + "\n#[doc(hidden)]\npub mod mutant;\n")


def weave(tree, mutants, environment, say):
    """Weaves `mutants` into the tree. Gives those left out: number to why, `unviable` or `slow` (it may be viable by itself)."""
    files, left_out = {}, {}
    for mutant in mutants:
        files.setdefault(mutant["file"], []).append(mutant)
    files = {path: File(path, (tree / path).read_bytes(), them) for path, them in files.items()}
    add_switch(tree)
    if "src/lib.rs" in files:
        raise SystemExit("mutants in src/lib.rs are not foreseen")
    by_number = {mutant["id"]: mutant for mutant in mutants}
    changed = set(files)
    while True:
        for path in changed:
            text, formless = files[path].woven(left_out)
            left_out |= formless
            (tree / path).write_text(text)
        wrong = check(tree, by_number, environment)
        if not wrong:
            return left_out
        say(f"{len(wrong)} mutants do not compile where they are woven in, and are left out")
        left_out |= wrong
        changed = {by_number[number]["file"] for number in wrong}


# What a program that stands alone would be told too. Of borrows and of what is constant the form may be to blame.
ALONE = {"E0277", "E0308", "E0369", "E0599", "E0600", "E0614", "E0282", "E0283", "E0425", "E0433", "E0604", "E0605", "E0606", "E0071", "E0061", "E0368", "E0790"}


def check(tree, by_number, environment):
    command = ["cargo", "check", "--locked", "--lib", "--profile", "test", "--message-format", "json"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return {}
    wrong, elsewhere = {}, []
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") != "compiler-message" or message["message"]["level"] != "error":
            continue
        message = message["message"]
        code = (message["code"] or {}).get("code")
        found = False
        for span in message["spans"]:
            if not span["is_primary"]:
                continue
            inside = standing_at(tree / span["file_name"], span["byte_start"])
            if code == "E0004":
                # An arm with a condition is none to the compiler where there is no arm for all the rest.
                arms = [it for it in marks_in_match(tree / span["file_name"], span["byte_start"]) if by_number[it]["genre"] == "MatchArm"]
                wrong |= {number: "slow" for number in arms}
                found = bool(arms)
                continue
            if inside is None:
                continue
            found = True
            number, in_variant = inside
            if in_variant:
                wrong[number] = "unviable" if code in ALONE else "slow"
            else:
                at = by_number[number]["span"]
                same = [it for it in by_number.values() if it["file"] == by_number[number]["file"] and it["span"] == at]
                wrong |= {it["id"]: "slow" for it in same}
        if not found and message["spans"]:
            elsewhere.append(message["rendered"])
    if not wrong:
        raise SystemExit("the tree does not build with mutants in it:\n" + "\n".join(elsewhere)[:4000] + done.stderr[-2000:])
    return wrong


MARK = re.compile(rb"/\*([SsMm])(\d+)\*/")


def standing_at(path, byte):
    """The innermost mutant around a byte, and whether it is what the mutant puts in."""
    stack = []
    for mark in MARK.finditer(path.read_bytes()):
        if mark.start() > byte:
            break
        letter, number = mark.group(1), int(mark.group(2))
        if letter.isupper():
            stack.append((number, letter == b"M"))
        else:
            stack.pop()
    return stack[-1] if stack else None


def marks_in_match(path, byte):
    text = path.read_bytes()
    node = PARSER.parse(text).root_node.descendant_for_byte_range(byte, byte + 1)
    while node and node.type != "match_expression":
        node = node.parent
    return {int(mark.group(2)) for mark in MARK.finditer(node.text)} if node else set()
