//! Parameters of a helper's module: what `modprobe NAME PARAMETER=VALUE` may say, read as the kernel reads it.

use std::fmt;

use crate::base::bytes::quoted;

/// A parameter that the real module has too.
#[derive(Debug)]
pub struct Parameter {
    /// As `modinfo` lists it.
    pub name: &'static str,
    /// What may be said of it, and what holds where nothing is said.
    pub takes: Takes,
    /// What it changes besides what the helper itself asks of it.
    pub sets: Sets,
    /// One line for the manual.
    pub about: &'static str,
}

/// The values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// One port or several with commas between. Those of the module's helpers if nothing is said.
    Ports,
    /// A flag: `loose`, `loose=1`, `loose=n`.
    Flag(bool),
    /// A number.
    Number {
        /// Where nothing is said.
        default: u32,
        /// What the module is not loaded below.
        least: u32,
        /// And above.
        most: u32,
    },
    /// One of these words; the first where nothing is said.
    Word(&'static [&'static str]),
    /// Anything, and it counts for nothing: the module takes it from the days when it did.
    Ignored(
        /// What the kernel logs of it.
        &'static str,
    ),
}

/// What of a helper's description a parameter changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sets {
    /// Nothing: the helper asks for its value.
    Nothing,
    /// How many flows may be expected at a time of each class.
    MostExpected,
    /// How many seconds they are.
    Lifetime,
}

impl Parameter {
    pub(super) const fn ports(about: &'static str) -> Self {
        Self::new("ports", Takes::Ports, about)
    }

    pub(super) const fn flag(name: &'static str, default: bool, about: &'static str) -> Self {
        Self::new(name, Takes::Flag(default), about)
    }

    /// Any number of 32 bits.
    pub(super) const fn number(name: &'static str, default: u32, about: &'static str) -> Self {
        let (least, most) = (0, u32::MAX);
        Self::new(name, Takes::Number { default, least, most }, about)
    }

    pub(super) const fn new(name: &'static str, takes: Takes, about: &'static str) -> Self {
        Self {
            name,
            takes,
            sets: Sets::Nothing,
            about,
        }
    }

    pub(super) const fn setting(self, sets: Sets) -> Self {
        Self { sets, ..self }
    }

    /// Its value as it stands where nothing is said.
    fn default(&self) -> Value {
        match self.takes {
            Takes::Ports => Value::Ports(None),
            Takes::Flag(on) => Value::Number(u32::from(on)),
            Takes::Number { default, .. } => Value::Number(default),
            Takes::Word(words) => Value::Word(words.first().copied().unwrap_or_default()),
            Takes::Ignored(_) => Value::Number(0),
        }
    }

    /// What `NAME=TEXT` says; without the sign, `None`.
    fn read(&self, text: Option<&str>) -> Result<Value, LoadRefused> {
        let invalid = || LoadRefused::Invalid {
            parameter: self.name,
            value: text.unwrap_or_default().to_owned(),
        };
        match (self.takes, text) {
            (Takes::Flag(_), None) => Ok(Value::Number(1)),
            (Takes::Ignored(_), _) => Ok(self.default()),
            (_, None) => Err(invalid()),
            (Takes::Flag(_), Some(text)) => {
                let flag = match text.as_bytes() {
                    [b'y' | b'Y' | b't' | b'T' | b'1', ..] | [b'o' | b'O', b'n' | b'N', ..] => true,
                    [b'n' | b'N' | b'f' | b'F' | b'0', ..] | [b'o' | b'O', b'f' | b'F', ..] => false,
                    _ => return Err(invalid()),
                };
                Ok(Value::Number(u32::from(flag)))
            }
            (Takes::Ports, Some(text)) => {
                let mut ports = Vec::new();
                for word in text.split(',') {
                    if ports.len() == MOST_PORTS {
                        let parameter = self.name;
                        return Err(LoadRefused::TooMany { parameter });
                    }
                    let port = number(word).and_then(|port| u16::try_from(port).ok());
                    ports.push(port.ok_or_else(invalid)?);
                }
                Ok(Value::Ports(Some(ports)))
            }
            (Takes::Number { least, most, .. }, Some(text)) => {
                let value = number(text).ok_or_else(invalid)?;
                let parameter = self.name;
                match value {
                    _ if value < least => Err(LoadRefused::TooSmall { parameter, least }),
                    _ if value > most => Err(LoadRefused::TooLarge { parameter, most }),
                    _ => Ok(Value::Number(value)),
                }
            }
            (Takes::Word(words), Some(text)) => {
                let known = words.iter().find(|word| **word == text);
                known.map(|word| Value::Word(word)).ok_or_else(|| LoadRefused::NoSuch {
                    parameter: self.name,
                    value: text.to_owned(),
                })
            }
        }
    }
}

/// What NAT sides took until 2.6.10, and take without a use for it since.
pub(super) const fn ports_of_nat() -> Parameter {
    Parameter::new(
        "ports",
        Takes::Ignored("kernel >= 2.6.10 only uses 'ports' for conntrack modules"),
        "taken for the sake of old scripts: the ports are those of the tracking side",
    )
}

/// So many ports a module takes.
pub(super) const MOST_PORTS: usize = 8;

/// Why a module was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadRefused {
    /// The value is none of the parameter's.
    Invalid {
        /// The parameter's name.
        parameter: &'static str,
        /// As it was said.
        value: String,
    },
    /// More ports than a module takes.
    TooMany {
        /// The parameter's name.
        parameter: &'static str,
    },
    /// The module itself refuses the number.
    TooSmall {
        /// The parameter's name.
        parameter: &'static str,
        /// The least that it takes.
        least: u32,
    },
    /// The module itself refuses the number.
    TooLarge {
        /// The parameter's name.
        parameter: &'static str,
        /// The most that it takes.
        most: u32,
    },
    /// There is nothing of this name that the parameter could mean.
    NoSuch {
        /// The parameter's name.
        parameter: &'static str,
        /// As it was said.
        value: String,
    },
    /// Two of its helpers would have one name.
    Twice,
}

/// What the kernel logs, after the module's name.
impl fmt::Display for LoadRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { parameter, value } => write!(f, "`{value}' invalid for parameter `{parameter}'"),
            Self::TooMany { parameter } => write!(f, "{parameter}: can only take {MOST_PORTS} arguments"),
            Self::TooSmall { parameter, least: 1 } => write!(f, "{parameter} must not be zero"),
            Self::TooSmall { parameter, least } => write!(f, "{parameter} must not be less than {least}"),
            Self::TooLarge { parameter, most } => write!(f, "{parameter} must not be more than {most}"),
            Self::NoSuch { parameter, value } => write!(f, "{parameter}: there is no {}", quoted(value)),
            Self::Twice => f.write_str("failed to register helpers"),
        }
    }
}

/// What was said of a module, besides the values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// The names of parameters that it does not have.
    pub unknown: Vec<String>,
    /// What the kernel logs of those that count for nothing.
    pub ignored: Vec<&'static str>,
    /// The numbers that were said, with the names of their parameters.
    pub numbers: Vec<(&'static str, u32)>,
}

/// Reads `NAME=VALUE` of a module's parameters, to know what is refused before anything changes.
pub(crate) fn read_parameters(parameters: &'static [Parameter], said: &[String]) -> Result<Said, LoadRefused> {
    let mut values = Values::of(parameters);
    let mut read = Said::default();
    for one in said {
        let name = one.split('=').next().unwrap_or_default();
        if !values.say(one)? {
            read.unknown.push(name.to_owned());
        }
        let ignored = parameters.iter().find_map(|parameter| match parameter.takes {
            Takes::Ignored(text) if parameter.name == name => Some(text),
            _ => None,
        });
        read.ignored.extend(ignored);
    }
    let was_said = |parameter: &&Parameter| said.iter().any(|one| one.split('=').next() == Some(parameter.name));
    let number = |parameter: &Parameter| match values.value(parameter.name) {
        Some(Value::Number(number)) => Some((parameter.name, *number)),
        _ => None,
    };
    read.numbers = parameters.iter().filter(was_said).filter_map(number).collect();
    Ok(read)
}

/// The values that a module was loaded with, in the order of its parameters.
#[derive(Clone, Debug)]
pub(super) struct Values {
    of: &'static [Parameter],
    values: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Number(u32),
    /// `None`: those that the helpers have of themselves.
    Ports(Option<Vec<u16>>),
    Word(&'static str),
}

impl Values {
    pub(super) fn of(parameters: &'static [Parameter]) -> Self {
        Self {
            of: parameters,
            values: parameters.iter().map(Parameter::default).collect(),
        }
    }

    /// `NAME` or `NAME=VALUE`; false where the module has no such parameter.
    pub(super) fn say(&mut self, said: &str) -> Result<bool, LoadRefused> {
        let (name, text) = match said.split_once('=') {
            Some((name, text)) => (name, Some(text)),
            None => (said, None),
        };
        // The kernel takes the one sign for the other in names.
        let name = name.replace('-', "_");
        let Some(at) = self.of.iter().position(|parameter| parameter.name == name) else {
            return Ok(false);
        };
        self.values[at] = self.of[at].read(text)?;
        Ok(true)
    }

    /// Zero for a parameter that the module does not have.
    pub(super) fn number(&self, parameter: &Parameter) -> u32 {
        match self.value(parameter.name) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    pub(super) fn flag(&self, parameter: &Parameter) -> bool {
        self.number(parameter) != 0
    }

    /// The ports that were said, if any were.
    pub(super) fn ports(&self) -> Option<&[u16]> {
        self.values.iter().find_map(|value| match value {
            Value::Ports(ports) => ports.as_deref(),
            _ => None,
        })
    }

    /// The number that was said, or holds by itself, of what it sets.
    pub(super) fn setting(&self, sets: Sets) -> Option<u32> {
        let parameter = self.of.iter().find(|parameter| parameter.sets == sets)?;
        Some(self.number(parameter))
    }

    fn value(&self, name: &str) -> Option<&Value> {
        let at = self.of.iter().position(|parameter| parameter.name == name)?;
        self.values.get(at)
    }
}

/// Decimal, `0x` and hexadecimal, `0` and octal.
fn number(text: &str) -> Option<u32> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    match digits.starts_with('+') {
        true => None,
        false => u32::from_str_radix(digits, radix).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static ALL: &[Parameter] = &[
        Parameter::ports(""),
        Parameter::flag("loose", false, ""),
        Parameter::new(
            "max_dcc_channels",
            Takes::Number {
                default: 8,
                least: 1,
                most: 255,
            },
            "",
        )
        .setting(Sets::MostExpected),
        Parameter::new("ts_algo", Takes::Word(&["kmp", "bm"]), ""),
        Parameter::new("old", Takes::Ignored("no longer"), ""),
    ];

    #[test]
    fn values_are_read_as_the_kernel_reads_them() {
        for (said, expected) in [
            ("ports=21,2121", "ports 21,2121"),
            ("ports=0x15", "ports 21"),
            ("ports=025", "ports 21"),
            ("ports=0", "ports 0"),
            ("ports=1,2,3,4,5,6,7,8", "ports 1,2,3,4,5,6,7,8"),
            ("ports=1,2,3,4,5,6,7,8,9", "ports: can only take 8 arguments"),
            ("ports=", "`' invalid for parameter `ports'"),
            ("ports", "`' invalid for parameter `ports'"),
            ("ports=21,", "`21,' invalid for parameter `ports'"),
            ("ports=65536", "`65536' invalid for parameter `ports'"),
            ("ports=-1", "`-1' invalid for parameter `ports'"),
            ("ports=21x", "`21x' invalid for parameter `ports'"),
            ("loose", "loose 1"),
            ("loose=1", "loose 1"),
            ("loose=on", "loose 1"),
            ("loose=off", "loose 0"),
            ("loose=N", "loose 0"),
            ("loose=2", "`2' invalid for parameter `loose'"),
            ("loose=", "`' invalid for parameter `loose'"),
            ("max-dcc-channels=3", "most 3"),
            ("max_dcc_channels=0", "max_dcc_channels must not be zero"),
            ("max_dcc_channels=256", "max_dcc_channels must not be more than 255"),
            (
                "max_dcc_channels=0x+1",
                "`0x+1' invalid for parameter `max_dcc_channels'",
            ),
            ("max_dcc_channels=++1", "`++1' invalid for parameter `max_dcc_channels'"),
            ("ts_algo=bm", "word bm"),
            ("ts_algo=b", "ts_algo: there is no \"b\""),
            ("old=anything", "known"),
            ("nothing=1", "unknown"),
        ] {
            let mut values = Values::of(ALL);
            let told = match values.say(said) {
                Err(refused) => refused.to_string(),
                Ok(false) => "unknown".to_owned(),
                Ok(true) if said.starts_with("ports") => {
                    let ports: Vec<String> = values.ports().unwrap().iter().map(u16::to_string).collect();
                    format!("ports {}", ports.join(","))
                }
                Ok(true) if said.starts_with("loose") => format!("loose {}", values.number(&ALL[1])),
                Ok(true) if said.starts_with("max") => format!("most {}", values.setting(Sets::MostExpected).unwrap()),
                Ok(true) if said.starts_with("ts") => match values.value("ts_algo") {
                    Some(Value::Word(word)) => format!("word {word}"),
                    other => panic!("{other:?}"),
                },
                Ok(true) => "known".to_owned(),
            };
            assert_eq!(told, expected, "{said}");
        }
        let plain = Values::of(ALL);
        assert_eq!((plain.ports(), plain.setting(Sets::MostExpected)), (None, Some(8)));
        assert!(!plain.flag(&ALL[1]) && plain.setting(Sets::Lifetime).is_none());
    }
}
