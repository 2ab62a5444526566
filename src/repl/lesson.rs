//! Lessons at the prompt: `learn` opens one over whatever lab is there, and leaving it leads back.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::{Addressee, UNREADABLE, converse, typed};
use crate::base::bytes::{os_of, text_from, text_of_path};
use crate::device::standard::{self, say, tell, tell_styled};
use crate::device::text_file::{read_bytes, read_regular};
use crate::lab::files::said_by_system;
use crate::lab::machine::Toolbox;
use crate::lab::memory::Lab;
use crate::lab::script::{Asked, Kind, parse_in};
use crate::learn::{self, LIBRARY, Lesson, Screen, Session, Told, WORDS};
use crate::syntax::problem::Source;

/// A lesson that comes with nflab, or that somebody wrote: a directory with `lesson.nflab`, or the file itself. What is wrong is said on standard
/// error; the exit code is 2.
pub(crate) fn open(asked: &str, toolbox: Toolbox) -> Result<Lesson, u8> {
    let (name, source) = match learn::find(asked) {
        Some((name, text)) => {
            let source = Source {
                name: format!("{name}/{FILE}"),
                text: text.to_owned(),
            };
            (name.to_owned(), source)
        }
        None => written(asked)?,
    };
    learn::read(&name, source, toolbox).map_err(|unreadable| {
        tell_styled!("{}", unreadable.styled());
        UNREADABLE
    })
}

fn written(asked: &str) -> Result<(String, Source), u8> {
    let given = PathBuf::from(os_of(asked));
    // A caller may name a pipe; what stands in a directory is a file.
    let (path, read): (_, fn(&Path) -> _) = match given.is_dir() {
        true => (given.join(FILE), read_regular),
        false => (given, read_bytes),
    };
    let refused = |why: String| {
        tell!("nflab: {why}");
        UNREADABLE
    };
    let text = read(&path).map(text_from).map_err(|error| match asked.contains('/') || path.exists() {
        true => refused(format!("cannot read {}: {}", text_of_path(&path), said_by_system(&error))),
        false => refused(format!(
            "there is no lesson `{asked}`: `nflab learn --list` names those there are; a directory or a file of your own is named by its path"
        )),
    })?;
    let stem = |path: &Path| path.file_stem().map(|stem| text_of_path(Path::new(stem)));
    let called = match path.file_name().is_some_and(|name| name == FILE) {
        true => path
            .parent()
            .and_then(Path::file_name)
            .map(|name| text_of_path(Path::new(name))),
        false => stem(&path),
    };
    let source = Source {
        name: text_of_path(&path),
        text,
    };
    Ok((called.unwrap_or_else(|| "lesson".to_owned()), source))
}

/// Steps through a lesson until its end, from a step on that is counted from 1; returns the exit code.
pub(crate) fn teach(lesson: Lesson, asked: &str, step: usize) -> u8 {
    let screen = Screen {
        styled: standard::has_colours(),
        width: None,
    };
    match begin(lesson, asked, step, screen) {
        Ok(taken) => converse(&mut Alone { taken, screen }, None),
        Err(code) => code,
    }
}

/// A lesson that somebody takes, and how they asked for it.
struct Taken {
    session: Box<Session>,
    asked: String,
}

/// Nobody is there but a lesson.
struct Alone {
    taken: Taken,
    screen: Screen,
}

impl Addressee for Alone {
    fn opening(&mut self) {
        tell_all(&self.taken.session.opening());
    }

    fn line(&mut self, text: &str) -> u8 {
        let toolbox = self.look().machine.toolbox();
        match asked(text, toolbox) {
            Some(asked) => opened(asked, toolbox, self.screen, |taken| {
                tell!("nflab: this was {}", self.taken.left());
                self.taken = taken;
                &mut self.taken
            }),
            None => tell_all(&self.taken.session.line(text)),
        }
    }

    fn prompt(&self) -> String {
        self.taken.session.prompt()
    }

    fn look(&mut self) -> &Lab {
        self.taken.session.lab()
    }

    fn set_screen(&mut self, screen: Screen) {
        self.screen = screen;
        self.taken.session.set_screen(screen);
    }

    fn words(&self) -> Vec<&'static str> {
        words_of_lessons()
    }

    fn greeting(&self) -> &'static str {
        GREETING
    }

    fn is_left(&mut self) -> bool {
        tell!("nflab: this was {}", self.taken.left());
        true
    }
}

/// Whoever types speaks to a lesson while one is open, else to the lab.
pub(super) struct Classroom<'a> {
    lab: &'a mut dyn Addressee,
    taken: Option<Taken>,
    screen: Screen,
}

impl<'a> Classroom<'a> {
    pub(super) fn around(lab: &'a mut dyn Addressee) -> Self {
        Self {
            lab,
            taken: None,
            screen: Screen::default(),
        }
    }
}

impl Addressee for Classroom<'_> {
    fn opening(&mut self) {
        self.lab.opening();
    }

    fn line(&mut self, text: &str) -> u8 {
        let toolbox = self.look().machine.toolbox();
        if let Some(asked) = asked(text, toolbox) {
            return opened(asked, toolbox, self.screen, |taken| {
                if let Some(before) = &self.taken {
                    tell!("nflab: this was {}", before.left());
                }
                self.taken.insert(taken)
            });
        }
        match &mut self.taken {
            Some(taken) => tell_all(&taken.session.line(text)),
            None if WORDS.iter().any(|(name, _)| *name == text.trim()) => {
                tell!(
                    "nflab: `{}` is a word of lessons, and none is open: `learn` lists them",
                    text.trim()
                );
                UNREADABLE
            }
            None => self.lab.line(text),
        }
    }

    fn prompt(&self) -> String {
        match &self.taken {
            Some(taken) => taken.session.prompt(),
            None => self.lab.prompt(),
        }
    }

    fn look(&mut self) -> &Lab {
        match &self.taken {
            Some(taken) => taken.session.lab(),
            None => self.lab.look(),
        }
    }

    fn set_screen(&mut self, screen: Screen) {
        self.screen = screen;
        self.lab.set_screen(screen);
        if let Some(taken) = &mut self.taken {
            taken.session.set_screen(screen);
        }
    }

    fn words(&self) -> Vec<&'static str> {
        match self.taken {
            Some(_) => words_of_lessons(),
            None => Vec::new(),
        }
    }

    fn greeting(&self) -> &'static str {
        self.lab.greeting()
    }

    fn is_left(&mut self) -> bool {
        match self.taken.take() {
            Some(taken) => {
                say!("nflab: this was {}; the lab from before is here again", taken.left());
                false
            }
            None => self.lab.is_left(),
        }
    }
}

/// What `learn` asks for, if the line is that: a lesson and a step of it, or the list.
fn asked(text: &str, toolbox: Toolbox) -> Option<Option<Asked>> {
    if text.split_whitespace().next() != Some("learn") {
        return None;
    }
    let statements = parse_in(&typed(text), toolbox, &mut Default::default()).ok()?;
    match &statements[..] {
        [only] => match &only.kind {
            Kind::Learn(asked) => Some(asked.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Lists the lessons, or opens one at the place that is given for it.
fn opened<'a>(
    asked: Option<Asked>,
    toolbox: Toolbox,
    screen: Screen,
    place: impl FnOnce(Taken) -> &'a mut Taken,
) -> u8 {
    let Some(Asked { lesson, step }) = asked else {
        standard::say_text(&list());
        return 0;
    };
    let taken = open(&lesson, toolbox).and_then(|read| begin(read, &lesson, step.unwrap_or(1), screen));
    match taken {
        Ok(taken) => tell_all(&place(taken).session.opening()),
        Err(code) => code,
    }
}

fn begin(lesson: Lesson, asked: &str, step: usize, screen: Screen) -> Result<Taken, u8> {
    let count = lesson.steps.len();
    if step == 0 || step > count {
        tell!("nflab: {} has no step {step}: its steps are 1 to {count}", lesson.name);
        return Err(UNREADABLE);
    }
    match Session::at(lesson, step - 1, screen) {
        Ok(session) => Ok(Taken {
            session: Box::new(session),
            asked: asked.to_owned(),
        }),
        Err(error) => {
            tell_styled!("{}", error.styled());
            Err(UNREADABLE)
        }
    }
}

impl Taken {
    /// Which lesson this was, and how to come back to it.
    fn left(&self) -> String {
        let (name, step) = (self.session.name(), self.session.step());
        match self.session.is_over() {
            true => name.to_owned(),
            false => format!("{name}, step {step}: `learn {} {step}` goes on there", self.asked),
        }
    }
}

fn words_of_lessons() -> Vec<&'static str> {
    WORDS.iter().map(|(name, _)| *name).collect()
}

fn tell_all(told: &Told) -> u8 {
    // Its colours go where it is no terminal; whoever is told nothing any more is noticed at the end.
    for (out, err) in told.in_order() {
        let _ = standard::say_styled_text(out);
        standard::tell_styled_text(err);
    }
    told.code
}

/// The lessons there are, a line each.
pub(crate) fn list() -> String {
    let width = LIBRARY.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, lesson) in LIBRARY {
        let _ = writeln!(text, "{name:<width$}  {}", learn::title(lesson));
    }
    text
}

const FILE: &str = "lesson.nflab";
const GREETING: &str = "\nnflab: `next` goes on, `hint` helps, `help` lists all words; whatever a lab understands may be typed; ^D leaves.";
