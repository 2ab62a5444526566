//! Who may use whom: the table of `docs/architecture.md` against every path of every file, tests excepted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use crate::source::{Source, Token, tokens};

/// The table: for each room, in the document's order, the rooms it may use.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub rooms: Vec<String>,
    pub uses: BTreeMap<String, BTreeSet<String>>,
}

impl Table {
    /// From the document: the rows below the header `| room | ... | may use |`. A room may only use rooms that stand above it, so that there
    /// is no circle.
    pub(crate) fn parse(document: &str) -> Result<Self, String> {
        let mut table = Self::default();
        let mut lines = document.lines().map(|line| line.trim_matches(['|', ' ']));
        lines
            .find(|line| line.starts_with("room |") && line.ends_with("may use"))
            .ok_or("no table with the header `| room | ... | may use |`")?;
        for line in lines.skip(1).take_while(|line| !line.is_empty()) {
            let cells: Vec<&str> = line.split(" | ").collect();
            let (Some(room), Some(uses)) = (cells.first().and_then(|it| quoted(it).next()), cells.last()) else {
                return Err(format!("no room in this row: {line}"));
            };
            let uses: BTreeSet<String> = match uses.trim() {
                "all above" => table.rooms.iter().cloned().collect(),
                uses => quoted(uses).map(str::to_owned).collect(),
            };
            if let Some(below) = uses.iter().find(|it| !table.rooms.contains(it)) {
                return Err(format!("`{room}` uses `{below}`, which does not stand above it"));
            }
            table.rooms.push(room.to_owned());
            table.uses.insert(room.to_owned(), uses);
        }
        Ok(table)
    }
}

/// Words in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Every use of a room that the table does not allow, as `file:line: what`.
pub(crate) fn check(table: &Table, sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    let tests = test_only_modules(sources);
    for source in sources {
        let module = module_of(&source.path);
        let Some(room) = module.first() else {
            continue;
        };
        if tests.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        if !table.uses.contains_key(room) {
            wrong.push(format!(
                "{}:1: there is no room `{room}` in docs/architecture.md",
                source.path.display()
            ));
            continue;
        }
        for (line, used) in uses(&module, &without_tests(tokens(&source.text))) {
            if used == *room || table.uses[room].contains(&used) {
                continue;
            }
            let rule = if table.uses.contains_key(&used) {
                format!("`{room}` may not use `{used}` (docs/architecture.md, \"Rooms\")")
            } else {
                format!("`{used}` is no room: name the room that a thing lives in")
            };
            wrong.push(format!("{}:{line}: {rule}", source.path.display()));
        }
    }
    wrong
}

/// `src/a/b.rs` is `[a, b]`, `src/a/mod.rs` is `[a]`, `src/lib.rs` and `src/main.rs` are the root.
pub(crate) fn module_of(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> = path
        .with_extension("")
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => part.to_str().map(str::to_owned),
            _ => None,
        })
        .skip(1)
        .collect();
    if parts.len() == 1 && (parts[0] == "lib" || parts[0] == "main") || parts.last().is_some_and(|it| it == "mod") {
        parts.pop();
    }
    parts
}

/// Modules in files of their own that only tests compile: `#[cfg(test)] mod tests;`.
pub(crate) fn test_only_modules(sources: &[Source]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for source in sources {
        let tokens = tokens(&source.text);
        for at in 0..tokens.len() {
            let Some(item) = test_item(&tokens, at) else { continue };
            if let [first, name, end, ..] = &tokens[item..]
                && first.text == "mod"
                && end.text == ";"
            {
                let mut module = module_of(&source.path);
                module.push(name.text.clone());
                found.push(module);
            }
        }
    }
    found
}

/// The tokens that are compiled outside of tests.
pub(crate) fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        match test_item(&tokens, at) {
            Some(item) => at = item_end(&tokens, item),
            None => {
                kept.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// Where the item begins that `#[cfg(test)]` at this place belongs to.
fn test_item(tokens: &[Token], at: usize) -> Option<usize> {
    let text = |at: usize| tokens.get(at).map_or("", |it| it.text.as_str());
    if text(at) != "#" || text(at + 1) != "[" || text(at + 2) != "cfg" {
        return None;
    }
    let end = attribute_end(tokens, at);
    let names = &tokens[at..end];
    if !names.iter().any(|it| it.text == "test") || names.iter().any(|it| it.text == "not") {
        return None;
    }
    let mut item = end;
    while text(item) == "#" {
        item = attribute_end(tokens, item);
    }
    if text(item) == "pub" {
        item += 1;
        if text(item) == "(" {
            item += 3;
        }
    }
    Some(item)
}

fn attribute_end(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (offset, token) in tokens[at..].iter().enumerate() {
        match token.text.as_str() {
            "[" => depth += 1,
            "]" if depth == 1 => return at + offset + 1,
            "]" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Behind the `;` or the block that ends the item.
fn item_end(tokens: &[Token], item: usize) -> usize {
    let mut depth = 0;
    for (offset, token) in tokens[item..].iter().enumerate() {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return item + offset + 1;
                }
            }
            ";" if depth == 0 => return item + offset + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The first names behind the root of every path that is written from there, with their lines: `crate::room`, `crate::{a, b::c}`, and as many
/// `super::` as lead out of the room.
fn uses(file: &[String], tokens: &[Token]) -> Vec<(usize, String)> {
    let text = |at: usize| tokens.get(at).map_or("", |it| it.text.as_str());
    let mut found = Vec::new();
    // Modules written inside the file deepen the path that `super` climbs.
    let mut inside: Vec<i32> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        match text(at) {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inside.retain(|&opened| opened <= depth);
            }
            "mod" if tokens.get(at + 1).is_some_and(Token::is_name) && text(at + 2) == "{" => {
                inside.push(depth + 1);
            }
            "crate" => found.extend(names_behind(tokens, at + 1)),
            "super" if at == 0 || text(at - 1) != ":" => {
                let mut climbed = 1;
                let mut end = at + 1;
                while text(end) == ":" && text(end + 1) == ":" && text(end + 2) == "super" {
                    (climbed, end) = (climbed + 1, end + 3);
                }
                if climbed >= file.len() + inside.len() {
                    found.extend(names_behind(tokens, end));
                }
                at = end - 1;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// `::name` or `::{name, name::more}`; anything else (`crate` alone, `::*`) is taken whole, and no room has that name.
fn names_behind(tokens: &[Token], at: usize) -> Vec<(usize, String)> {
    let text = |at: usize| tokens.get(at).map_or("", |it| it.text.as_str());
    let line = tokens[at - 1].line;
    if text(at) != ":" || text(at + 1) != ":" {
        // `pub(crate)` is no path.
        let visibility = text(at) == ")";
        return if visibility {
            Vec::new()
        } else {
            vec![(line, "crate".to_owned())]
        };
    }
    if text(at + 2) != "{" {
        return vec![(line, text(at + 2).to_owned())];
    }
    let mut found = Vec::new();
    let mut depth = 0;
    let mut first = true;
    for token in &tokens[at + 2..] {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            "," if depth == 1 => first = true,
            name if depth == 1 && first => {
                found.push((token.line, name.to_owned()));
                first = false;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "text\n\n| room | what lives there | may use |\n|---|---|---|\n| `base` | words | nothing |\n\
        | `wire` (+ `x/`) | bytes, `struct`s | `base` |\n| `top` | edges | all above |\n\nmore";

    fn wrong(path: &str, text: &str) -> Vec<String> {
        let source = Source {
            path: path.into(),
            text: text.to_owned(),
        };
        check(&Table::parse(TABLE).unwrap(), &[source])
    }

    #[test]
    fn planted_violations_are_found() {
        for (path, text, line) in [
            ("src/base/a.rs", "use crate::wire::x;", 1),
            ("src/base/mod.rs", "\nfn f() { let x = crate::top::Y::new(); }", 2),
            ("src/base/a.rs", "use crate::{\n  base::x,\n  wire::{y, z},\n};", 3),
            ("src/base/a.rs", "use super::super::wire;", 1),
            ("src/base/mod.rs", "use super::wire;", 1),
            ("src/base/mod.rs", "mod inner {\n use super::super::wire;\n}", 2),
            ("src/base/mod.rs", "mod inner { fn f() {} }\nuse super::wire;", 2),
            ("src/wire/a.rs", "macro_rules! m { () => {\n $crate::top::f()\n} }", 2),
            ("src/wire/a.rs", "use crate::*;", 1),
            ("src/wire/a.rs", "use crate as nflab;", 1),
            ("src/wire/a.rs", "#[cfg(not(test))]\nuse crate::top;", 2),
            (
                "src/wire/a.rs",
                "#[cfg(test)]\nmod tests { use crate::top; }\nuse crate::top;",
                3,
            ),
            ("src/cellar/a.rs", "", 1),
        ] {
            let wrong = wrong(path, text);
            assert_eq!(wrong.len(), 1, "{path}: {text}: {wrong:?}");
            assert!(wrong[0].starts_with(&format!("{path}:{line}: ")), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_allowed_passes() {
        for (path, text) in [
            (
                "src/wire/a.rs",
                "use crate::base::x; use crate::wire::y; use super::z; pub(crate) fn f() {}",
            ),
            ("src/wire/x/a.rs", "use super::super::b; use super::super::super::base;"),
            ("src/wire/a.rs", "mod inner { use super::super::b; }"),
            (
                "src/base/a.rs",
                "// crate::top\n/// [`crate::top`]\nfn f() { \"crate::top\"; }",
            ),
            (
                "src/base/a.rs",
                "#[cfg(test)]\n#[allow(dead_code)]\nmod tests { use crate::top; fn f() { {} } }",
            ),
            ("src/base/a.rs", "#[cfg(test)]\nuse crate::{top, wire};\nfn f() {}"),
            ("src/top/a.rs", "use crate::{base, wire};"),
            ("src/main.rs", "use nflab::top;"),
        ] {
            assert_eq!(wrong(path, text), Vec::<String>::new(), "{path}: {text}");
        }
        let sources = ["mod tests;", ""].map(str::to_owned);
        let [declared, empty] = sources;
        let with = |path: &str, text: String| Source {
            path: path.into(),
            text,
        };
        let files = [
            with("src/base/a.rs", format!("#[cfg(test)]\n{declared}")),
            with("src/base/a/tests.rs", format!("use crate::top;{empty}")),
        ];
        assert_eq!(check(&Table::parse(TABLE).unwrap(), &files), Vec::<String>::new());
    }

    #[test]
    fn a_table_with_a_circle_is_refused() {
        let circle = TABLE.replace("| words | nothing |", "| words | `wire` |");
        assert_eq!(
            Table::parse(&circle).unwrap_err(),
            "`base` uses `wire`, which does not stand above it"
        );
        assert!(Table::parse("nothing here").is_err());
    }
}
