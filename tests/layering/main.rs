//! The house as `docs/architecture.md` draws it, held against the sources: one crate gets no help from the compiler here.

mod lists;
mod rooms;
mod source;
mod tidy;

use std::collections::BTreeSet;
use std::path::Path;

use rooms::{Table, module_of};
use source::read_all;

#[test]
fn rooms_use_what_the_table_allows() {
    let table = Table::parse(&document()).unwrap_or_else(|error| panic!("docs/architecture.md: {error}"));
    assert_clean(rooms::check(&table, &read_all(root(), "src")));
}

#[test]
fn the_table_names_every_room_and_no_other() {
    let table = Table::parse(&document()).unwrap_or_else(|error| panic!("docs/architecture.md: {error}"));
    let in_sources: BTreeSet<String> = read_all(root(), "src")
        .iter()
        .filter_map(|source| module_of(&source.path).into_iter().next())
        .collect();
    assert_eq!(in_sources, table.rooms.into_iter().collect());
}

#[test]
fn every_file_keeps_the_house_rules() {
    let allowed = tidy::unsafe_files(&document());
    assert!(
        !allowed.is_empty(),
        "docs/architecture.md no longer says where `unsafe` may stand"
    );
    for directory in ["src", "tests", "benches"] {
        assert_clean(tidy::every_file(&read_all(root(), directory), &allowed));
    }
}

#[test]
fn nobody_says_that_ipv6_is_absent() {
    let sources: Vec<_> = read_all(root(), "src")
        .into_iter()
        .filter(|it| it.path.file_name() != Some("tests.rs".as_ref()))
        .collect();
    assert_clean(tidy::no_word_against_ipv6(&sources));
}

#[test]
fn the_library_leaves_the_world_to_its_edges() {
    let table = Table::parse(&document()).unwrap_or_else(|error| panic!("docs/architecture.md: {error}"));
    assert_clean(tidy::library(&table, &read_all(root(), "src")));
    assert_clean(tidy::who_reaches_the_world(&table));
}

#[test]
fn nobody_but_the_registry_lists_the_extensions() {
    let directories = ["src", "tests", "benches", "examples"];
    let sources: Vec<_> = directories
        .iter()
        .flat_map(|directory| read_all(root(), directory))
        .collect();
    assert_clean(lists::of_extensions(&sources));
}

#[test]
fn an_option_is_named_by_its_constant() {
    assert_clean(lists::names_told_twice(&read_all(root(), "src")));
}

fn assert_clean(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
