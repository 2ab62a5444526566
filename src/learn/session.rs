//! Stepping through a lesson: lines that are typed, to what is said. The lab is the lesson's own, and whatever a lab understands may be typed.

mod meant;

use super::compare::is_same;
use super::lesson::{Document, Lesson, Piece, Question, Task, pass};
use super::marking;
use super::wrap::wrap;
use crate::lab::memory::Lab;
use crate::lab::script::{Line, Runner, Statement, lex, parse_in};
use crate::syntax::problem::{Source, SourceError};

/// The words of a lesson, besides those of its lab: name, what it does.
pub(crate) const WORDS: &[(&str, &str)] = &[
    ("next", "goes on: types for you what you did not, tells the answer"),
    ("hint", "helps a little, and more each time"),
    (
        "answer",
        "answers a question with what stands behind it; the word may be left out",
    ),
    ("check", "marks what you built for a task"),
    ("solution", "builds one way to do a task, from where it began"),
    ("again", "begins the step anew, the lab as it was then"),
];

/// A lesson that somebody takes.
#[derive(Debug)]
pub(crate) struct Session {
    lesson: Lesson,
    runner: Runner,
    step: usize,
    piece: usize,
    /// Which of the commands at hand were typed.
    typed: Vec<bool>,
    /// Hints that were told at this place.
    hints: usize,
    is_over: bool,
    screen: Screen,
}

/// What the learner looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Screen {
    /// It shows colours.
    pub(crate) styled: bool,
    /// How many characters fit into a line, where that is known.
    pub(crate) width: Option<usize>,
}

/// What is said: on which stream, and the exit code of a script of just this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: u8,
    /// How long both were behind each complaint: what fails is told below its command, and above what comes next.
    complaints: Vec<(usize, usize)>,
}

impl Told {
    fn say(&mut self, text: &str) {
        self.out += text.trim_end_matches('\n');
        self.out += "\n";
    }

    fn fail(&mut self, code: u8, text: &str) {
        self.complain(&format!("{}\n", text.trim_end_matches('\n')));
        self.code = self.code.max(code);
    }

    fn complain(&mut self, text: &str) {
        self.err += text;
        self.complaints.push((self.out.len(), self.err.len()));
    }

    /// All of it as it came: what stands on one stream, then what stands on the other.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (&str, &str)> {
        let (mut out, mut err) = (0, 0);
        let all = (self.out.len(), self.err.len());
        self.complaints
            .iter()
            .chain([&all])
            .copied()
            .collect::<Vec<_>>()
            .into_iter()
            .map(move |(to_out, to_err)| {
                let pair = (&self.out[out..to_out], &self.err[err..to_err]);
                (out, err) = (to_out, to_err);
                pair
            })
    }
}

impl Session {
    /// At the beginning of a step, counted from 0, with all done that stands before it. [`Self::opening`] tells what stands there.
    pub(crate) fn at(lesson: Lesson, step: usize, screen: Screen) -> Result<Self, SourceError> {
        let step = step.min(lesson.steps.len().saturating_sub(1));
        let runner = lesson.at(step)?;
        let mut session = Self {
            lesson,
            runner,
            step,
            piece: 0,
            typed: Vec::new(),
            hints: 0,
            is_over: false,
            screen,
        };
        session.set_screen(screen);
        Ok(session)
    }

    pub(crate) fn set_screen(&mut self, screen: Screen) {
        self.screen = screen;
        self.runner.styled = screen.styled;
    }

    /// What is told before anything is typed.
    pub(crate) fn opening(&mut self) -> Told {
        let mut told = Told::default();
        told.say(&self.bold(&self.lesson.title));
        if let Some(after) = &self.lesson.after {
            told.say(&self.wrapped(&format!("({after})")));
        }
        self.heading(&mut told);
        self.go_on(&mut told);
        told
    }

    pub(crate) fn prompt(&self) -> String {
        format!("{} {}/{}> ", self.lesson.name, self.step + 1, self.lesson.steps.len())
    }

    pub(crate) fn name(&self) -> &str {
        &self.lesson.name
    }

    /// The step at hand, from 1.
    pub(crate) fn step(&self) -> usize {
        self.step + 1
    }

    /// Nothing is left to do in it.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.runner.lab
    }

    pub(crate) fn line(&mut self, text: &str) -> Told {
        let mut told = Told::default();
        let mut words = text.trim().splitn(2, char::is_whitespace);
        let (word, rest) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default().trim(),
        );
        let is_alone = rest.is_empty();
        if let Some(meant) = self.meant(word, is_alone).filter(|_| !self.is_right(text)) {
            told.fail(UNREADABLE, &format!("`{}`: did you mean `{meant}`?", text.trim()));
            return told;
        }
        match word {
            "next" if is_alone => self.next(&mut told),
            "hint" if is_alone => self.hint(&mut told),
            "check" if is_alone => self.check(&mut told),
            "solution" if is_alone => self.solution(&mut told),
            "again" if is_alone => self.again(&mut told),
            "answer" => match self.question().is_some() {
                true => self.answer(rest, &mut told),
                false => told.fail(FAILED, "nothing is asked here"),
            },
            "help" if is_alone => {
                told.say("The lesson's words:");
                for (name, about) in WORDS {
                    told.say(&format!("  {name:<52} {about}"));
                }
                self.run(text, &mut told);
            }
            word if self.is_an_answer(word) || self.is_right(text) => self.answer(text.trim(), &mut told),
            _ => self.run(text, &mut told),
        }
        told
    }

    fn piece(&self) -> Option<&Piece> {
        match self.is_over {
            true => None,
            false => self.lesson.steps.get(self.step)?.pieces.get(self.piece),
        }
    }

    fn question(&self) -> Option<&Question> {
        match self.piece() {
            Some(Piece::Question(question)) => Some(question),
            _ => None,
        }
    }

    fn task(&self) -> Option<&Task> {
        match self.piece() {
            Some(Piece::Task(task)) => Some(task),
            _ => None,
        }
    }

    /// Does what was typed, as the editor over a lab would, and notices where it is what the lesson asks for.
    fn run(&mut self, text: &str, told: &mut Told) {
        let source = Source {
            name: "typed".to_owned(),
            text: text.to_owned(),
        };
        let toolbox = self.lesson.toolbox;
        let statements = match parse_in(&source, toolbox, &mut self.runner.hosts) {
            Ok(statements) => statements,
            Err(error) => {
                let drawn = match self.screen.styled {
                    true => error.styled(),
                    false => error.to_string(),
                };
                told.fail(UNREADABLE, &drawn);
                return self.told_of_unreadable(text, told);
            }
        };
        // It was read a moment ago.
        let lines = lex::lex(text).unwrap_or_default();
        for (line, statement) in lines.iter().zip(&statements) {
            let (said, result) = self.runner.run(statement);
            told.out += &said.stdout;
            told.complain(&said.stderr);
            let has_failed = result.is_err();
            let was_to_fail = self.notice(line, statement, has_failed, told);
            if let Err(failed) = result {
                if said.stderr.is_empty() {
                    told.complain(&(failed.reason + "\n"));
                }
                if !was_to_fail {
                    told.code = told.code.max(FAILED);
                }
            }
            if self.commands_are_done() {
                self.leave(told);
            }
        }
    }

    /// Whether the lesson asks for nothing more here.
    fn commands_are_done(&self) -> bool {
        match self.piece() {
            Some(Piece::Commands(commands)) => (0..commands.lines.len()).all(|at| self.is_typed(at)),
            _ => false,
        }
    }

    /// A line that was done, where it is one that the lesson asks for; whether it was to fail.
    fn notice(&mut self, line: &Line, statement: &Statement, has_failed: bool, told: &mut Told) -> bool {
        let Some(Piece::Commands(commands)) = self.piece() else {
            return false;
        };
        let open =
            commands.lines.iter().enumerate().find(|(at, command)| {
                !self.is_typed(*at) && !command.is_claim() && command.is_typed_by(line, statement)
            });
        let Some((at, command)) = open else { return false };
        let was_to_fail = command.fails;
        if was_to_fail && !has_failed {
            told.fail(
                FAILED,
                "the lesson holds that this fails, and in your lab it does not: `again` begins the step anew",
            );
        }
        self.mark_typed(at);
        let claims = self.claims_behind(at);
        self.hold(claims, told);
        was_to_fail
    }

    fn mark_typed(&mut self, at: usize) {
        if self.typed.len() <= at {
            self.typed.resize(at + 1, false);
        }
        self.typed[at] = true;
    }

    fn is_typed(&self, at: usize) -> bool {
        self.typed.get(at).copied().unwrap_or_default()
    }

    /// What the lesson holds to be so once a command was typed, up to the next one.
    fn claims_behind(&self, at: usize) -> std::ops::Range<usize> {
        let Some(Piece::Commands(commands)) = self.piece() else {
            return 0..0;
        };
        let behind = commands.lines.iter().skip(at + 1);
        let count = behind.take_while(|command| command.is_claim()).count();
        at + 1..at + 1 + count
    }

    fn hold(&mut self, claims: std::ops::Range<usize>, told: &mut Told) {
        claims.clone().for_each(|at| self.mark_typed(at));
        let pieces = &self.lesson.steps[self.step].pieces;
        let Some(Piece::Commands(commands)) = pieces.get(self.piece) else {
            return;
        };
        for at in claims {
            let claim = &commands.lines[at];
            let (_, result) = self.runner.run(&claim.statement);
            if let Err(failed) = result {
                told.fail(
                    FAILED,
                    &format!(
                        "the lesson holds `{}` here, and in your lab {}: `again` begins the step anew",
                        claim.shown, failed.reason
                    ),
                );
            }
        }
    }

    fn next(&mut self, told: &mut Told) {
        match self.piece() {
            None => self.finished(told),
            Some(Piece::Commands(commands)) => {
                let open = 0..commands.lines.len();
                for at in open {
                    self.type_for_you(at, told);
                }
                self.leave(told);
            }
            Some(Piece::Question(question)) => {
                let answer = question.answers.first().map_or("", String::as_str);
                told.say(&format!("It is: {answer}"));
                self.because(told);
            }
            Some(Piece::Task(_)) => told.fail(
                FAILED,
                "this task is open: `check` marks what you built, `hint` helps, `solution` builds one way to do it",
            ),
            Some(Piece::Text(_) | Piece::Document(_)) => self.leave(told),
        }
    }

    fn type_for_you(&mut self, at: usize, told: &mut Told) {
        let pieces = &self.lesson.steps[self.step].pieces;
        let Some(Piece::Commands(commands)) = pieces.get(self.piece) else {
            return;
        };
        let command = &commands.lines[at];
        if self.is_typed(at) {
            return;
        }
        if command.is_claim() {
            return self.hold(at..at + 1, told);
        }
        told.say(&format!("> {}", command.shown));
        let (said, result) = command.run(&mut self.runner);
        told.out += &said.stdout;
        told.complain(&said.stderr);
        if let Err(reason) = result {
            told.fail(FAILED, &reason);
        }
        self.mark_typed(at);
    }

    fn answer(&mut self, answer: &str, told: &mut Told) {
        let is_right = self.is_right(answer);
        if !is_right {
            return told.fail(
                FAILED,
                "That is not it. `hint` helps, `next` tells; or try it in the lab first.",
            );
        }
        told.say("Right.");
        self.because(told);
    }

    /// What is told behind an answer, and on.
    fn because(&mut self, told: &mut Told) {
        if let Some(because) = self.question().and_then(|question| question.because.as_ref()) {
            told.say(&self.wrapped(because));
        }
        self.leave(told);
    }

    fn hint(&mut self, told: &mut Told) {
        let hints: &[String] = match self.piece() {
            None => return self.finished(told),
            Some(Piece::Commands(commands)) => &commands.hints,
            Some(Piece::Question(question)) => &question.hints,
            Some(Piece::Task(task)) => &task.hints,
            Some(Piece::Text(_) | Piece::Document(_)) => &[],
        };
        if let Some(hint) = hints.get(self.hints) {
            told.say(&self.wrapped(hint));
            self.hints += 1;
            return;
        }
        match self.piece() {
            Some(Piece::Commands(commands)) => {
                let open = commands.lines.iter().enumerate().find(|(at, _)| !self.is_typed(*at));
                if let Some((_, command)) = open {
                    told.say(&format!("Type: {}\nor `next`, which types it for you.", command.shown));
                }
            }
            Some(Piece::Task(_)) => {
                told.say("There is no other hint: `check` says what is missing, `solution` builds it.");
            }
            _ => told.say("There is no other hint: `next` tells."),
        }
    }

    fn check(&mut self, told: &mut Told) {
        let pieces = self.lesson.steps.get(self.step).map(|step| &step.pieces);
        let Some(Piece::Task(task)) = pieces
            .and_then(|pieces| pieces.get(self.piece))
            .filter(|_| !self.is_over)
        else {
            let more = match self.piece() {
                Some(Piece::Commands(_)) => "; type first what stands above, or `next`",
                Some(Piece::Question(_)) => "; something is asked: answer it, or `next`",
                _ => "",
            };
            return told.fail(
                FAILED,
                &format!("there is nothing to mark here: a task says when there is{more}"),
            );
        };
        let mark = marking::of(&task.check, &mut self.runner.lab);
        told.say(&mark.text);
        match mark.passed {
            true => {
                told.say("All of it holds.");
                self.leave(told);
            }
            false => told.fail(FAILED, "Not yet: mend it and `check` again, or ask for a `hint`."),
        }
    }

    fn solution(&mut self, told: &mut Told) {
        let Some(task) = self.task() else {
            return told.fail(FAILED, "there is nothing to build here: a task says when there is");
        };
        let shown: Vec<String> = task.solution.iter().map(|it| format!("> {}", it.shown)).collect();
        if !self.restart(self.piece, told) {
            return;
        }
        let Some(Piece::Task(task)) = self.lesson.steps[self.step].pieces.get(self.piece) else {
            return;
        };
        for (command, shown) in task.solution.iter().zip(shown) {
            told.say(&shown);
            let (said, result) = command.run(&mut self.runner);
            told.out += &said.stdout;
            told.complain(&said.stderr);
            if let Err(reason) = result {
                told.fail(FAILED, &reason);
            }
        }
        told.say("`check` marks it.");
    }

    fn again(&mut self, told: &mut Told) {
        if self.is_over {
            self.step = self.lesson.steps.len().saturating_sub(1);
        }
        self.is_over = false;
        if self.restart(0, told) {
            self.piece = 0;
            self.heading(told);
            self.go_on(told);
        }
    }

    /// The lab as it is where a piece of this step begins.
    fn restart(&mut self, piece: usize, told: &mut Told) -> bool {
        match self.lesson.at(self.step) {
            Ok(runner) => self.runner = runner,
            Err(error) => {
                // It came up when the lesson began.
                told.fail(FAILED, &error.to_string());
                return false;
            }
        }
        for before in self.lesson.steps[self.step].pieces.iter().take(piece) {
            pass(&mut self.runner, before);
        }
        self.runner.styled = self.screen.styled;
        true
    }

    /// Behind the piece at hand.
    fn leave(&mut self, told: &mut Told) {
        self.piece += 1;
        self.go_on(told);
    }

    /// Tells what stands here, up to where something is to be done.
    fn go_on(&mut self, told: &mut Told) {
        self.hints = 0;
        loop {
            let Some(step) = self.lesson.steps.get(self.step) else {
                return;
            };
            let Some(piece) = step.pieces.get(self.piece) else {
                if self.step + 1 == self.lesson.steps.len() {
                    self.is_over = true;
                    return self.finished(told);
                }
                self.step += 1;
                self.piece = 0;
                self.heading(told);
                continue;
            };
            match piece {
                Piece::Text(text) => told.say(&format!("\n{}", self.wrapped(text))),
                Piece::Document(document) => beside(&mut self.runner, document, self.screen, told),
                Piece::Commands(commands) => {
                    self.typed = vec![false; commands.lines.len()];
                    let before = commands.lines.iter().take_while(|line| line.is_claim()).count();
                    let is_all = before == commands.lines.len();
                    if !is_all {
                        told.say("\nType (or `next`):");
                        for command in commands.lines.iter().filter(|line| !line.is_claim()) {
                            if command.fails {
                                told.say("    # this fails:");
                            }
                            indented(&command.shown, told);
                        }
                    }
                    self.hold(0..before, told);
                    if !is_all {
                        return;
                    }
                }
                Piece::Question(question) => {
                    let asked = self.bold(&wrap(&question.asked, self.screen.width));
                    return told.say(&format!("\n{asked}"));
                }
                Piece::Task(task) => {
                    let title = self.bold("Your task");
                    let text = self.wrapped(&task.text);
                    return told.say(&format!("\n{title}\n{}\n(`check` marks it)", text.trim_end()));
                }
            }
            self.piece += 1;
        }
    }

    fn heading(&self, told: &mut Told) {
        if let Some(step) = self.lesson.steps.get(self.step) {
            let count = self.lesson.steps.len();
            let title = format!("{}/{count}  {}", self.step + 1, step.title);
            told.say(&format!("\n{}", self.bold(&title)));
        }
    }

    fn finished(&self, told: &mut Told) {
        let name = &self.lesson.name;
        let behind = super::LIBRARY.iter().skip_while(|(known, _)| known != name).nth(1);
        let more = match behind {
            Some((next, _)) => format!("; `learn {next}` is the next one"),
            None => String::new(),
        };
        told.say(&format!(
            "\nThis was {name}. Its lab stays for you to try things in, `again` repeats the last step, `exit` leaves{more}."
        ));
    }

    fn wrapped(&self, text: &str) -> String {
        wrap(text, self.screen.width)
    }

    fn bold(&self, text: &str) -> String {
        let text = text.trim_end();
        match self.screen.styled {
            true => format!("\x1b[1m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// What the document prints, and what is printed here.
fn beside(runner: &mut Runner, document: &Document, screen: Screen, told: &mut Told) {
    let (said, result) = runner.run(&document.command.statement);
    told.say(&format!("\nThe document prints for `{}`:", document.command.shown));
    indented(&document.printed, told);
    let is_the_same = result.is_ok() && is_same(&document.printed, &said.stdout);
    told.say(match is_the_same {
        true => "nflab prints the same:",
        false => "nflab prints:",
    });
    match said.stdout.trim().is_empty() {
        true => told.say("    (nothing)"),
        false => indented(&said.stdout, told),
    }
    if let Some(why) = document.differs.as_ref().filter(|_| !is_the_same) {
        told.say(&wrap(why, screen.width));
    }
    if let Err(failed) = result {
        told.fail(FAILED, &format!("{}{}", said.stderr, failed.reason));
    }
}

fn indented(text: &str, told: &mut Told) {
    for line in text.lines() {
        told.say(&format!("    {line}"));
    }
}

const FAILED: u8 = 1;
const UNREADABLE: u8 = 2;
