//! A line that calls a tool: its arguments, and where a shell would send what it prints.

use crate::lab::machine::Toolbox;
use crate::lab::script::ToolCall;
use crate::lab::script::lex::Input;
use crate::lab::script::output::{File, Grep, Output};
use crate::syntax::problem::Problem;
use crate::syntax::words::Word;

/// The call of a tool, if the first word means one.
pub(super) fn call(words: &[Word], input: &Input, toolbox: Toolbox) -> Result<Option<ToolCall>, Problem> {
    let Some((first, rest)) = words.split_first() else {
        return Ok(None);
    };
    let Some(name) = toolbox.find(&first.text) else {
        return Ok(None);
    };
    let mut stretches = rest.split(is_pipe);
    let own = stretches.next().unwrap_or_default();
    let pipes: Vec<&Word> = rest.iter().filter(|word| is_pipe(word)).collect();
    let mut output = Output::default();
    let (mut args, mut file) = redirected(own)?;
    for (pipe, stretch) in pipes.into_iter().zip(stretches) {
        if let Some(file) = &file {
            return Err(already(pipe, file));
        }
        let words;
        (words, file) = redirected(stretch)?;
        output.greps.push(grep(pipe, &words)?);
    }
    match (name, file) {
        // Files of /proc are the lab's: `echo` writes them.
        ("echo", Some(file)) if output.greps.is_empty() => args.extend([">".to_owned(), file.name]),
        ("echo", file) => {
            // An arrow in quotes is printed. So that nobody takes it for another, what is printed is one argument.
            if args.iter().any(|arg| arg == ">") {
                let options = args.iter().take_while(|arg| *arg == "-n").count();
                let text = args.split_off(options).join(" ");
                args.push(text);
            }
            output.file = file;
        }
        (_, file) => output.file = file,
    }
    Ok(Some(ToolCall {
        name,
        args,
        input: input.clone(),
        output,
    }))
}

fn is_pipe(word: &Word) -> bool {
    !word.quoted && word.text == "|"
}

fn grep(pipe: &Word, words: &[String]) -> Result<Grep, Problem> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let problem =
        |message: String, remedy: String| Problem::new(pipe.position, message, "expected `| grep WORD`", remedy);
    match words.split_first() {
        Some((&"grep", args)) => {
            Grep::parse(args).map_err(|expected| problem("this grep is none that a lab has".to_owned(), expected))
        }
        Some((program, _)) => Err(problem(
            format!("a lab has no `{program}` to pipe to"),
            "`| grep WORD` is here; other programs are in a shell: `nflab sh`. A `|` that is meant is put into quotes"
                .to_owned(),
        )),
        None => Err(problem(
            "nothing follows the `|`".to_owned(),
            "write `| grep WORD` on this line; a `|` that is meant is put into quotes".to_owned(),
        )),
    }
}

fn already(word: &Word, file: &File) -> Problem {
    Problem::new(
        word.position,
        format!("`{}`: what is printed goes to {} already", word.text, file.name),
        "expected the end of the line",
        "write one `>` a line, at its end",
    )
}

/// The words that are no redirection, and the file that what is printed goes to: it is found wherever a shell finds it on the line.
fn redirected(words: &[Word]) -> Result<(Vec<String>, Option<File>), Problem> {
    let (mut args, mut file) = (Vec::new(), None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(at) = word.arrow else {
            args.push(word.text.clone());
            continue;
        };
        let refused = |message: &str, expected: &str, remedy: &str| {
            let message = format!("`{}`: {message}", word.text);
            Err(Problem::new(word.position, message, expected, remedy))
        };
        let (before, sign) = word.text.split_at(at);
        let is_stream = !word.quoted && before.bytes().all(|byte| byte.is_ascii_digit() || byte == b'&');
        match before {
            "" | "1" if is_stream => {}
            _ if is_stream => {
                return refused(
                    "only what is printed on standard output can go to a file",
                    "expected `> FILE`",
                    "remove it",
                );
            }
            text => args.push(text.to_owned()),
        }
        let name = [">>", ">|", ">"]
            .iter()
            .find_map(|it| sign.strip_prefix(it))
            .unwrap_or(sign);
        let name = match name {
            "" => match words.next() {
                Some(next) if next.arrow.is_none() => &next.text,
                _ => {
                    return refused(
                        "nothing follows it",
                        "expected a file's name behind it",
                        "write it on this line; a `>` that is meant is put into quotes",
                    );
                }
            },
            name if name.contains('>') || name.starts_with('&') => {
                return refused(
                    "that is no file's name",
                    "expected `> FILE`",
                    "write one `> FILE` at the end of the line",
                );
            }
            name => name,
        };
        let found = File {
            name: name.to_owned(),
            appends: sign.starts_with(">>"),
        };
        if file.replace(found).is_some() {
            return refused(
                "what is printed goes to a file already",
                "expected the end of the line",
                "write one `>` a line",
            );
        }
    }
    Ok((args, file))
}
