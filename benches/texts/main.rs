//! What a text costs, by its form: each at two sizes, the second twice the first, and beside it the real tool's time where there is one.
//!
//! `cargo bench --bench texts` prints the table (as root, with iptables-legacy, with the real tool's column; each call of it in a network
//! namespace of its own). Growth is what to read: the last column names what grows faster than its text or costs more than the real tool.
//! `-- --test` does each form once, small, and looks at its exit status; `-- WORDS` does those whose name has the words.
//!
//! Times are those of the processor, not of the clock: user and system, of the program and what it called.

mod lab;
mod measure;
mod tools;

use std::borrow::Cow;
use std::process::ExitCode;

use measure::{Cost, Place};

/// One way to write a long text.
pub struct Form {
    pub name: &'static str,
    /// The smaller of the two sizes: lines, mostly.
    pub size: usize,
    /// The files of a size, by name.
    pub files: fn(usize) -> Vec<(Cow<'static, str>, String)>,
    pub call: Call,
    /// How the program has to end.
    pub status: i32,
    /// Each of so many starts a program of its own.
    pub starts_each: bool,
}

/// What is done with the files, in their directory.
#[derive(Clone, Copy)]
pub enum Call {
    /// A line of shell that calls tools by their names; `$N` is the size. The real tools are asked too.
    Tools(&'static str),
    /// The same, but only nflab can.
    Own(&'static str),
    /// Arguments of `nflab`.
    Nflab(&'static [&'static str]),
    /// The same, where they are the long text themselves.
    Words(fn(usize) -> Vec<String>),
}

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let once = words.iter().any(|it| it == "--test");
    // `cargo bench` gives --bench.
    words.retain(|it| !it.starts_with("--"));
    let place = Place::new();
    let forms: Vec<Form> = tools::forms()
        .into_iter()
        .chain(lab::forms())
        .filter(|it| words.is_empty() || words.iter().any(|word| it.name.contains(word.as_str())))
        .collect();
    let faults = match once {
        true => forms.iter().filter(|it| !small(&place, it)).count(),
        false => table(&place, &forms),
    };
    match faults {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Once round: true where it ends as it must.
fn small(place: &Place, form: &Form) -> bool {
    let size = form.size.min(SMALL);
    let cost = place.ours(form, size);
    let well = cost.status == Some(form.status);
    if !well {
        println!(
            "{}: ended with {:?}, not {}\n{}",
            form.name, cost.status, form.status, cost.said
        );
    }
    well
}

/// Prints the table; gives how many forms did not end as they must.
fn table(place: &Place, forms: &[Form]) -> usize {
    println!(
        "{:<44} {:>8} {:>8} {:>8} {:>6} {:>7} {:>8} {:>8}",
        "form", "size", "ms", "ms at x2", "ratio", "MB", "real ms", "real x2"
    );
    let starts = place.starts();
    println!(
        "starting costs {:.1} ms under `nflab sh`, {:.1} ms alone, {:.1} ms for the real tools' namespace, each further program {:.1} ms and {:.1} ms, and is left out of all comparisons",
        starts.contained, starts.alone, starts.real, starts.more[0], starts.more[1]
    );
    let mut faults = 0;
    for form in forms {
        let (one, two) = (place.ours(form, form.size), place.ours(form, 2 * form.size));
        let real = [form.size, 2 * form.size].map(|size| place.real(form, size));
        let start = |size: usize| {
            let many = if form.starts_each { size as f64 } else { 0.0 };
            let ours = match form.call {
                Call::Nflab(_) | Call::Words(_) => starts.alone,
                Call::Tools(_) | Call::Own(_) => starts.contained,
            };
            (ours + many * starts.more[0], starts.real + many * starts.more[1])
        };
        let (start, start_of_two) = (start(form.size), start(2 * form.size));
        let ratio = growth((start.0, start_of_two.0), &one, &two);
        let mut remarks = Vec::new();
        if [&one, &two].iter().any(|it| it.status != Some(form.status)) {
            faults += 1;
            remarks.push(format!(
                "ended with {:?}, not {}: {}",
                two.status, form.status, two.said
            ));
        }
        if ratio.is_some_and(|it| it > MOST) {
            remarks.push("grows faster than its text".to_owned());
        }
        let slower = |it: &Cost| two.milliseconds - start_of_two.0 > it.milliseconds - start_of_two.1;
        if real[1].as_ref().is_some_and(slower) {
            remarks.push("slower than the real tool".to_owned());
        }
        let shown = |cost: &Option<Cost>| {
            cost.as_ref()
                .map_or("-".to_owned(), |it| format!("{:.0}", it.milliseconds))
        };
        println!(
            "{:<44} {:>8} {:>8.0} {:>8.0} {:>6} {:>7.0} {:>8} {:>8} {}",
            form.name,
            form.size,
            one.milliseconds,
            two.milliseconds,
            ratio.map_or("-".to_owned(), |it| format!("{it:.1}")),
            two.megabytes,
            shown(&real[0]),
            shown(&real[1]),
            remarks.join("; "),
        );
    }
    faults
}

/// How often the smaller text's cost the greater one has; what starting costs is no part of it. Nothing where there is too little to tell.
fn growth(starts: (f64, f64), one: &Cost, two: &Cost) -> Option<f64> {
    let (one, two) = (one.milliseconds - starts.0, two.milliseconds - starts.1);
    (one > TOO_LITTLE).then(|| two / one)
}

/// A ratio beyond this is no noise.
const MOST: f64 = 2.5;
/// Milliseconds.
const TOO_LITTLE: f64 = 15.0;
/// The size of a form that is only tried.
const SMALL: usize = 50;
