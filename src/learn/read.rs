//! From a lesson file to a lesson. All that is wrong is found in one go, each thing at its place.

use std::io;
use std::path::{Path, PathBuf};

use nom::Parser;
use nom::multi::many1;
use nom::sequence::terminated;

use super::lesson::{Command, Commands, Document, Lesson, Piece, Question, Step, Task};
use crate::lab::conversation::Hosts;
use crate::lab::file::LabFile;
use crate::lab::machine::Toolbox;
use crate::lab::memory::Lab;
use crate::lab::script::{Input, Kind, Line, OWN_WORDS, lex, parse_line};
use crate::suite::{self, Choice, Suite, Unreadable};
use crate::syntax::problem::{Position, Problem, Source, SourceError, suggestion};
use crate::syntax::words;

/// The words of a lesson file that are none of a script: name, syntax, what it does.
pub(crate) const FILE_WORDS: &[(&str, &str, &str)] = &[
    ("lesson", "lesson TITLE", "begins the file, and is what lists show"),
    (
        "after",
        "after WHAT",
        "what the lesson follows: a document's chapter, a table",
    ),
    (
        "lab",
        "lab <<END",
        "the lab, as a lab file has it; without it lan 10.0.0.1/24 and 2001:db8::1/64, wan 192.0.2.1/24 and 2001:db8:1::1/64",
    ),
    ("setup", "setup ... end", "commands that are done before the first step"),
    (
        "step",
        "step TITLE",
        "begins a step; what stands below it up to the next is its",
    ),
    ("text", "text <<END", "what is told"),
    (
        "type",
        "type ... end",
        "commands for the learner to type, with expectations between them that the lesson holds to be so and nobody sees",
    ),
    (
        "document",
        "document COMMAND <<END",
        "what a document prints for a command, shown beside what it prints here; WORD= fits whatever stands behind it, ... any words",
    ),
    (
        "differs",
        "differs WHY",
        "below `document`: why something else is printed here",
    ),
    (
        "ask",
        "ask QUESTION",
        "a question; the learner's answer comes before the text below it",
    ),
    ("answer", "answer TEXT...", "below `ask`: what is right, each in quotes"),
    ("because", "because WHY", "below `ask`: told behind the answer"),
    ("task", "task <<END", "something to build"),
    (
        "solution",
        "solution ... end",
        "below `task`: commands, one way to do it",
    ),
    (
        "check",
        "check <<END",
        "below `task`: tests as in a test file, without rules; all of them have to pass",
    ),
    (
        "hint",
        "hint TEXT",
        "below `type`, `ask` or `task`: told one at a time to who asks",
    ),
];

/// Reads a lesson. What it is called for is its directory's name, or its file's.
pub(crate) fn read(name: &str, source: Source, toolbox: Toolbox) -> Result<Lesson, Unreadable> {
    if let Some(problem) = control_character(&source.text) {
        return Err(source.error(vec![problem]).into());
    }
    let lines = match lex::lex(&source.text) {
        Ok(lines) => lines,
        Err(error) => return Err(source.error(vec![error.problem]).into()),
    };
    let mut reading = Reading {
        source: &source,
        toolbox,
        problems: Vec::new(),
        others: Vec::new(),
        hosts: Hosts::default(),
        lab: None,
        title: None,
        after: None,
        setup: Vec::new(),
        steps: Vec::new(),
        task: None,
    };
    // Commands may name the lab's hosts, wherever it stands.
    reading.read_lab(&lines);
    reading.all(lines);
    let Reading {
        mut problems,
        others,
        hosts,
        lab,
        title,
        after,
        setup,
        steps,
        ..
    } = reading;
    for piece in steps.iter().flat_map(|step| &step.pieces) {
        if let Piece::Question(question) = piece
            && question.answers.is_empty()
        {
            problems.push(Problem::new(
                question.position,
                "this question has no answer",
                "expected `answer` below it",
                "write `answer \"NEW\"`; several texts are all right",
            ));
        }
    }
    if problems.is_empty() && others.is_empty() {
        for (missing, what, remedy) in [
            (
                title.is_none(),
                "this lesson has no title",
                "begin with `lesson \"TITLE\"`",
            ),
            (
                steps.is_empty(),
                "this lesson has no step",
                "write `step \"TITLE\"` and what belongs to it below",
            ),
        ] {
            if missing {
                problems.push(Problem::new(0..0, what, "", remedy));
            }
        }
    }
    let mut errors = others;
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.position.start);
        errors.insert(0, source.error(problems));
    }
    if !errors.is_empty() {
        return Err(Unreadable { errors });
    }
    Ok(Lesson {
        name: name.to_owned(),
        title: title.unwrap_or_default(),
        after,
        lab: match lab {
            Some((file, _)) => file,
            None => Lab::default_file()?,
        },
        hosts,
        setup,
        steps,
        source,
        toolbox,
    })
}

/// What a terminal would obey: a lesson may be anybody's, and its texts are shown as they are.
fn control_character(text: &str) -> Option<Problem> {
    let obeyed = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t' | '\r');
    let (at, letter) = text.char_indices().find(|(_, letter)| obeyed(*letter))?;
    Some(Problem::new(
        at..at + letter.len_utf8(),
        format!("a control character stands here: {}", letter.escape_default()),
        "expected a text",
        "remove it; in a packet's `data` it is written like \"\\x1b\"",
    ))
}

struct Reading<'a> {
    source: &'a Source,
    toolbox: Toolbox,
    problems: Vec<Problem>,
    /// Of texts that stand in the file: the lab's, checks.
    others: Vec<SourceError>,
    hosts: Hosts,
    lab: Option<(LabFile, String)>,
    title: Option<String>,
    after: Option<String>,
    setup: Vec<Command>,
    steps: Vec<Step>,
    task: Option<Begun>,
}

/// A task, as far as it was read.
struct Begun {
    position: Position,
    text: String,
    hints: Vec<String>,
    solution: Option<Vec<Command>>,
    check: Option<Suite>,
    /// It had one, which cannot be read.
    is_wrong: bool,
}

impl Reading<'_> {
    fn read_lab(&mut self, lines: &[Line]) {
        let Some(line) = lines.iter().find(|line| line.keyword() == "lab") else {
            if let Ok(file) = Lab::default_file() {
                self.hosts = Hosts::of_lab(&file);
            }
            return;
        };
        // What is wrong with the line is said where lines are read.
        let Input::Here(text) = &line.input else { return };
        let placed = Source {
            name: self.source.name.clone(),
            text: self.placed(line, text),
        };
        match LabFile::parse(&placed.name, &placed.text).and_then(|file| {
            Lab::new(&file, 1, self.toolbox)?;
            Ok(file)
        }) {
            Ok(file) => {
                self.hosts = Hosts::of_lab(&file);
                self.lab = Some((file, placed.text));
            }
            Err(error) => self.others.push(error),
        }
    }

    fn all(&mut self, lines: Vec<Line>) {
        let mut lines = lines.into_iter().peekable();
        while let Some(line) = lines.next() {
            let mut body = Vec::new();
            if BLOCKS.contains(&line.keyword()) {
                while let Some(inner) = lines.next_if(|it| it.keyword() != "end" && !begins_something(it)) {
                    body.push(inner);
                }
                if lines.next_if(|it| it.keyword() == "end").is_none() {
                    let before = match lines.peek() {
                        Some(next) => format!("`{}`", next.keyword()),
                        None => "the file's end".to_owned(),
                    };
                    self.problems.push(never_closed(&line, &before));
                }
            }
            if let Err(problem) = self.line(&line, body) {
                self.problems.push(problem);
            }
        }
        self.end_task();
    }

    fn line(&mut self, line: &Line, body: Vec<Line>) -> Result<(), Problem> {
        let word = line.keyword();
        if !matches!(word, "solution" | "check" | "hint") {
            self.end_task();
        }
        match word {
            "lesson" => set(&mut self.title, line, text(line)?),
            "after" => set(&mut self.after, line, text(line)?),
            "lab" => document(line).map(drop),
            "setup" => {
                alone(line)?;
                let commands = self.commands(body, Seen::Later);
                self.setup.extend(commands);
                Ok(())
            }
            "step" => {
                let title = text(line)?;
                self.steps.push(Step {
                    title,
                    pieces: Vec::new(),
                });
                Ok(())
            }
            "text" => {
                let told = document(line)?;
                self.put(line, Piece::Text(told))
            }
            "type" => {
                alone(line)?;
                let lines = self.commands(body, Seen::First);
                self.put(
                    line,
                    Piece::Commands(Commands {
                        lines,
                        hints: Vec::new(),
                    }),
                )
            }
            "document" => self.document(line),
            "differs" => {
                let why = text(line)?;
                match self.last() {
                    Some(Piece::Document(document)) => set(&mut document.differs, line, why),
                    _ => Err(misplaced(line, "`document`")),
                }
            }
            "ask" => {
                let asked = text(line)?;
                self.put(
                    line,
                    Piece::Question(Question {
                        position: line.position,
                        asked,
                        answers: Vec::new(),
                        because: None,
                        hints: Vec::new(),
                    }),
                )?;
                Ok(())
            }
            "answer" => {
                let answers = texts(line)?;
                match self.last() {
                    Some(Piece::Question(question)) => question.answers.extend(answers),
                    _ => return Err(misplaced(line, "`ask`")),
                }
                Ok(())
            }
            "because" => {
                let why = text(line)?;
                match self.last() {
                    Some(Piece::Question(question)) => set(&mut question.because, line, why),
                    _ => Err(misplaced(line, "`ask`")),
                }
            }
            "task" => {
                let told = document(line)?;
                if self.steps.is_empty() {
                    return Err(misplaced(line, "a `step`"));
                }
                self.task = Some(Begun {
                    position: line.position,
                    text: told,
                    hints: Vec::new(),
                    solution: None,
                    check: None,
                    is_wrong: false,
                });
                Ok(())
            }
            "solution" => {
                alone(line)?;
                let commands = self.commands(body, Seen::Later);
                match &mut self.task {
                    Some(task) => set(&mut task.solution, line, commands),
                    None => Err(misplaced(line, "`task`")),
                }
            }
            "check" => self.check(line),
            "hint" => {
                let hint = text(line)?;
                if let Some(task) = &mut self.task {
                    task.hints.push(hint);
                    return Ok(());
                }
                match self.last() {
                    Some(Piece::Commands(commands)) => commands.hints.push(hint),
                    Some(Piece::Question(question)) => question.hints.push(hint),
                    _ => return Err(misplaced(line, "`type`, `ask` or `task`")),
                }
                Ok(())
            }
            other => Err(unknown(line, other)),
        }
    }

    fn last(&mut self) -> Option<&mut Piece> {
        self.steps.last_mut()?.pieces.last_mut()
    }

    fn put(&mut self, line: &Line, piece: Piece) -> Result<(), Problem> {
        match self.steps.last_mut() {
            Some(step) => {
                step.pieces.push(piece);
                Ok(())
            }
            None => Err(misplaced(line, "a `step`")),
        }
    }

    fn commands(&mut self, lines: Vec<Line>, seen: Seen) -> Vec<Command> {
        let mut commands = Vec::with_capacity(lines.len());
        for line in lines {
            match self.command(line, seen) {
                Ok(command) => commands.push(command),
                Err(problem) => self.problems.push(problem),
            }
        }
        commands
    }

    fn command(&mut self, line: Line, seen: Seen) -> Result<Command, Problem> {
        let statement = parse_line(line.clone(), self.toolbox, &mut self.hosts)?;
        if matches!(statement.kind, Kind::Learn(_)) {
            return Err(Problem::new(
                line.position,
                "a lesson opens no other",
                "expected a tool or a word of the lab",
                "name it in a `text`",
            ));
        }
        let command = Command::new(statement, &line, &self.source.text);
        if seen == Seen::Later
            && let Some(file) = command.statement.writes_to(self.toolbox)
        {
            return Err(writes(line.position, &file));
        }
        Ok(command)
    }

    fn document(&mut self, line: &Line) -> Result<(), Problem> {
        let printed = document_below(line)?;
        let mut asked = line.clone();
        asked.words.remove(0);
        asked.input = Input::None;
        let Some(first) = asked.words.first() else {
            return Err(Problem::new(
                line.position,
                "this `document` names no command",
                "expected the command that prints it",
                "write it like `document cat /proc/net/ip_conntrack <<END`",
            ));
        };
        asked.position = (first.position.start..line.position.end).into();
        let command = self.command(asked, Seen::Later)?;
        self.put(
            line,
            Piece::Document(Box::new(Document {
                position: line.position,
                command,
                printed,
                differs: None,
            })),
        )
    }

    fn check(&mut self, line: &Line) -> Result<(), Problem> {
        let text = document(line)?;
        if self.task.is_none() {
            return Err(misplaced(line, "`task`"));
        }
        let path = PathBuf::from(&self.source.name);
        let placed = self.placed(line, &text);
        let lab = self.lab.as_ref().map(|(_, text)| text.clone());
        let mut reader = |asked: &Path| match (&lab, asked) {
            (_, asked) if asked == suite::plain(&path) => Ok(placed.clone()),
            (Some(lab), asked) if asked.file_name() == Some("lab.toml".as_ref()) => Ok(lab.clone()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        let read = suite::read(&path, &mut reader, self.toolbox, &Choice::default());
        let Some(task) = &mut self.task else { return Ok(()) };
        match read {
            Ok(check) if check.rulesets.iter().any(|it| !it.name.is_empty()) => {
                task.is_wrong = true;
                Err(Problem::new(
                    line.position,
                    "this check brings rules of its own",
                    "expected tests alone",
                    "remove `rules`: the learner's are marked, and a rule that tests need stands in `setup`",
                ))
            }
            Ok(check) => {
                let written = check.statements().find_map(|it| it.writes_to(self.toolbox));
                task.is_wrong = written.is_some();
                match written {
                    Some(file) => Err(writes(line.position, &file)),
                    None => set(&mut task.check, line, check),
                }
            }
            Err(unreadable) => {
                task.is_wrong = true;
                self.others.extend(unreadable.errors);
                Ok(())
            }
        }
    }

    fn end_task(&mut self) {
        let Some(task) = self.task.take() else { return };
        if task.is_wrong {
            return;
        }
        let (Some(solution), Some(check)) = (task.solution, task.check) else {
            self.problems.push(Problem::new(
                task.position,
                "this `task` is not whole",
                "expected a `solution` and a `check` below it",
                "write `solution ... end` and `check <<END`",
            ));
            return;
        };
        let piece = Piece::Task(Box::new(Task {
            position: task.position,
            text: task.text,
            hints: task.hints,
            solution,
            check,
        }));
        if let Some(step) = self.steps.last_mut() {
            step.pieces.push(piece);
        }
    }

    /// A here-document behind as many line ends as stand before it in the file, so that its lines are called as they are there.
    fn placed(&self, line: &Line, document: &str) -> String {
        let (last, _) = self.source.line_and_column(line.position.end);
        "\n".repeat(last) + document
    }
}

/// When a learner sees a command of the lesson's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Before it is done, and it is done because they ask for it.
    First,
    Later,
}

/// A lesson may be anybody's: a file of who takes it is written only by what they have seen before.
fn writes(position: Position, file: &str) -> Problem {
    Problem::new(
        position,
        format!("a lesson writes to no file of who takes it: {file}"),
        "expected a command that prints",
        "between `type` and `end` it may stand, where it is seen before it is done",
    )
}

/// The text behind a word: one line of it.
fn text(line: &Line) -> Result<String, Problem> {
    line.without_input(&format!("`{}`", line.keyword()))?;
    let word = words::word("a text in quotes");
    let read = terminated(
        word,
        words::end("expected the end of the line: what has blanks stands in quotes"),
    );
    let word = line.arguments().read(read)?;
    match word.text.trim().is_empty() {
        false => Ok(word.text.clone()),
        true => Err(Problem::new(
            word.position,
            "this text is empty",
            "expected something to tell",
            "write it in quotes",
        )),
    }
}

fn texts(line: &Line) -> Result<Vec<String>, Problem> {
    line.without_input(&format!("`{}`", line.keyword()))?;
    let mut arguments = line.arguments();
    arguments.read(many1(words::text("a text in quotes")).or(one_text))
}

/// Says what is missing where nothing stands.
fn one_text(words: words::Words<'_>) -> words::Read<'_, Vec<String>> {
    words::text("a text in quotes").map(|text| vec![text]).parse(words)
}

fn alone(line: &Line) -> Result<(), Problem> {
    line.arguments().read(words::end("expected the end of the line"))?;
    line.without_input(&format!("`{}`", line.keyword()))
}

/// The here-document of a word that takes nothing else.
fn document(line: &Line) -> Result<String, Problem> {
    if let Some(word) = line.arguments().peek() {
        let keyword = line.keyword();
        let remedy = format!("write `{keyword} <<END`, its lines below, and `END` alone on a line");
        return Err(words::unexpected(word, "expected a here-document: `<<END`", &remedy));
    }
    document_below(line)
}

fn document_below(line: &Line) -> Result<String, Problem> {
    match &line.input {
        Input::Here(document) if !document.trim().is_empty() => Ok(document.clone()),
        _ => Err(Problem::new(
            line.position,
            format!("nothing stands below this `{}`", line.keyword()),
            "expected a here-document",
            format!("write `{} <<END`, its lines, and `END` alone on a line", line.keyword()),
        )),
    }
}

/// Whether a line can stand in no block: its word is the lesson's, and none of a lab.
fn begins_something(line: &Line) -> bool {
    let word = line.keyword();
    FILE_WORDS.iter().any(|(name, ..)| *name == word) && !OWN_WORDS.iter().any(|own| own.name == word)
}

fn never_closed(line: &Line, before: &str) -> Problem {
    Problem::new(
        line.position,
        format!("this `{}` is never closed", line.keyword()),
        format!("no `end` comes before {before}"),
        "write `end` alone on a line below its last command",
    )
}

fn set<T>(place: &mut Option<T>, line: &Line, value: T) -> Result<(), Problem> {
    if place.is_some() {
        return Err(Problem::new(
            line.position,
            format!("there is a `{}` already", line.keyword()),
            "expected one",
            "remove one of the two",
        ));
    }
    *place = Some(value);
    Ok(())
}

fn misplaced(line: &Line, below: &str) -> Problem {
    Problem::new(
        line.position,
        format!("`{}` cannot stand here", line.keyword()),
        format!("it belongs below {below}"),
        "move it there; docs/teaching.md shows a lesson",
    )
}

fn unknown(line: &Line, word: &str) -> Problem {
    let position = line.words.first().map_or(line.position, |word| word.position);
    let remedy = match (word, suggestion(word, FILE_WORDS.iter().map(|(name, ..)| *name))) {
        ("end", _) => "remove it, or begin a block with `setup`, `type` or `solution`".to_owned(),
        (_, Some(near)) => format!("did you mean `{near}`?"),
        _ => "commands stand between `type` and `end`; docs/teaching.md shows a lesson".to_owned(),
    };
    Problem::new(
        position,
        format!("`{word}` is no word of a lesson"),
        "expected text, type, document, ask, task or step",
        remedy,
    )
}

const BLOCKS: &[&str] = &["setup", "type", "solution"];
