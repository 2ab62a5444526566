//! Lessons at the prompt: `learn` opens one over whatever lab is there, and leaving it leads back.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::{Addressee, UNREADABLE, converse, typed};
use crate::base::bytes::{os_of, text_of_path};
use crate::device::standard::{self, say, tell, tell_styled};
use crate::device::text_file::read_file;
use crate::lab::files::said_by_system;
use crate::lab::machine::Toolbox;
use crate::lab::memory::Lab;
use crate::lab::script::{Kind, parse_in};
use crate::learn::{self, LIBRARY, Lesson, Session, Told, WORDS};
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
    let path = match given.is_dir() {
        true => given.join(FILE),
        false => given,
    };
    let refused = |why: String| {
        tell!("nflab: {why}");
        UNREADABLE
    };
    let text = read_file(&path).map_err(|error| match asked.contains('/') || path.exists() {
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

/// Steps through a lesson until its end; returns the exit code.
pub(crate) fn teach(lesson: Lesson) -> u8 {
    let mut room = Classroom {
        lab: None,
        lesson: None,
        styled: standard::has_colours(),
    };
    match room.begin(lesson) {
        0 => converse(&mut room, None),
        code => code,
    }
}

/// Whoever types speaks to a lesson while one is open, else to the lab.
pub(super) struct Classroom<'a> {
    /// `None`: there is nothing but the lesson.
    lab: Option<&'a mut dyn Addressee>,
    lesson: Option<Box<Session>>,
    styled: bool,
}

impl<'a> Classroom<'a> {
    pub(super) fn around(lab: &'a mut dyn Addressee) -> Self {
        Self {
            lab: Some(lab),
            lesson: None,
            styled: false,
        }
    }

    fn begin(&mut self, lesson: Lesson) -> u8 {
        match Session::new(lesson, self.styled) {
            Ok((session, told)) => {
                self.lesson = Some(Box::new(session));
                tell_all(&told)
            }
            Err(error) => {
                tell_styled!("{}", error.styled());
                UNREADABLE
            }
        }
    }

    /// What `learn` asks for, if the line is that: a lesson, or the list.
    fn asked(&mut self, text: &str) -> Option<Option<String>> {
        if text.split_whitespace().next() != Some("learn") {
            return None;
        }
        let toolbox = self.look().machine.toolbox();
        let statements = parse_in(&typed(text), toolbox, &mut Default::default()).ok()?;
        match &statements[..] {
            [only] => match &only.kind {
                Kind::Learn(asked) => Some(asked.clone()),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Addressee for Classroom<'_> {
    fn line(&mut self, text: &str) -> u8 {
        match self.asked(text) {
            Some(None) => {
                standard::say_text(&list());
                return 0;
            }
            Some(Some(asked)) => {
                let toolbox = self.look().machine.toolbox();
                return match open(&asked, toolbox) {
                    Ok(lesson) => self.begin(lesson),
                    Err(code) => code,
                };
            }
            None => {}
        }
        match (&mut self.lesson, &mut self.lab) {
            (Some(lesson), _) => tell_all(&lesson.line(text)),
            (None, Some(lab)) => lab.line(text),
            (None, None) => 0,
        }
    }

    fn prompt(&self) -> String {
        match (&self.lesson, &self.lab) {
            (Some(lesson), _) => lesson.prompt(),
            (None, Some(lab)) => lab.prompt(),
            (None, None) => String::new(),
        }
    }

    fn look(&mut self) -> &Lab {
        match (&self.lesson, &mut self.lab) {
            (Some(lesson), _) => lesson.lab(),
            (None, Some(lab)) => lab.look(),
            // A room is made around the one or the other, and is left with its lesson where there is no lab.
            (None, None) => unreachable!("neither a lab nor a lesson"),
        }
    }

    fn set_styled(&mut self, styled: bool) {
        self.styled = styled;
        if let Some(lab) = &mut self.lab {
            lab.set_styled(styled);
        }
    }

    fn words(&self) -> Vec<&'static str> {
        match self.lesson {
            Some(_) => WORDS.iter().map(|(name, _)| *name).collect(),
            None => Vec::new(),
        }
    }

    fn greeting(&self) -> &'static str {
        match (&self.lesson, &self.lab) {
            (None, Some(lab)) => lab.greeting(),
            _ => GREETING,
        }
    }

    fn is_left(&mut self) -> bool {
        match (&self.lesson, &self.lab) {
            (Some(lesson), Some(_)) => {
                say!("nflab: this was {}; the lab from before is here again", lesson.name());
                self.lesson = None;
                false
            }
            _ => true,
        }
    }
}

fn tell_all(told: &Told) -> u8 {
    // Its colours go where it is no terminal; whoever is told nothing any more is noticed at the end.
    let _ = standard::say_styled_text(&told.out);
    standard::tell_styled_text(&told.err);
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
