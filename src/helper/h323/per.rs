//! The packed encoding rules of ASN.1 (ITU-T X.691, BASIC-PER, ALIGNED), as far as H.225.0 and H.245 need them: a reader that goes through a message
//! by a description of its types and notes where the marked ones stand.
//!
//! It takes nothing out of a message and keeps nothing of it but notes, whose number is fixed. It stops at the end of the bytes, at a depth, and after a
//! number of components that grows with the message's length, whatever the message says of itself.
//!
//! Where the kernel's reader differs from X.691, this one does as the kernel does; each such place says so.

use crate::base::Family;

/// A type, as the modules of H.225.0 and H.245 have it.
#[derive(Debug)]
pub(super) enum Type {
    Null,
    Boolean,
    /// INTEGER with both bounds.
    Integer {
        low: u32,
        high: u32,
    },
    /// INTEGER without.
    Unbounded,
    ObjectIdentifier,
    Octets(Size),
    Bits(Size),
    /// A string, each of whose characters takes so many bits.
    Characters(u8, Size),
    /// OCTET STRING that holds a value of a type.
    Containing(&'static Type),
    /// The OCTET STRING of an address of this family, behind which stand the two octets of a port. It is noted where the message speaks of that family.
    Address(Family),
    List(List),
    Sequence(Sequence),
    Choice(Choice),
    /// What the kernel does not read, and nothing of the message with it.
    Refused,
    /// What is noted when it is met, with what it holds.
    Noted(Mark, &'static Type),
}

/// How long a string or a list may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    Any,
    Fixed(u16),
    Between(u16, u16),
}

/// SEQUENCE OF, SET OF.
#[derive(Debug)]
pub(super) struct List {
    pub size: Size,
    pub of: &'static Type,
    /// In so many of its elements something is noted.
    pub noted: usize,
}

#[derive(Debug)]
pub(super) struct Sequence {
    pub fields: &'static [Field],
    /// What may follow the root; `None` where the type has no `...`.
    pub additions: Option<&'static [Addition]>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub presence: Presence,
    pub of: &'static Type,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Must,
    /// OPTIONAL, or with a DEFAULT.
    May,
    /// The kernel reads nothing of the sequence from here on, since it needs none of it. Seen: what stands behind the sequence it then reads from here.
    /// Where the field is optional it has a bit, all the same.
    StopAt,
    StopAtOptional,
}

/// What the kernel does with an addition.
#[derive(Debug)]
pub(super) enum Addition {
    Skip,
    Read(&'static Type),
    /// The same as [`Presence::StopAt`], whether this addition is there or not.
    Stop,
}

#[derive(Debug)]
pub(super) struct Choice {
    pub root: &'static [&'static Type],
    /// `None` where the type has no `...`.
    pub additions: Option<&'static [&'static Type]>,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Setup,
    CallProceeding,
    Connect,
    Alerting,
    Facility,
    Progress,
    /// Where the sender waits for H.245.
    H245Address,
    DestinationCallSignalAddress,
    SourceCallSignalAddress,
    AlternativeAddress,
    CallForwarded,
    /// Messages of H.245 in one of Q.931.
    Tunnel,
    OpenLogicalChannel,
    OpenLogicalChannelAck,
    /// What follows is of the channel back.
    ReverseParameters,
    T120SeparateLanStack,
    MediaChannel,
    MediaControlChannel,
    SeparateStack,
    GatekeeperRequest,
    GatekeeperConfirm,
    RegistrationRequest,
    RegistrationConfirm,
    UnregistrationRequest,
    AdmissionRequest,
    AdmissionConfirm,
    LocationRequest,
    LocationConfirm,
    InformationResponse,
    RasAddress,
    CallSignalAddress,
    ReplyAddress,
    TimeToLive,
}

/// Something marked, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub mark: Mark,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Nothing,
    /// The place of an address of the flow's family; its port follows.
    Address(usize),
    Number(u32),
}

/// What was noted of a message, in its order. They are as large as those of any message: who reads one after another makes them once.
#[derive(Debug)]
pub(super) struct Notes {
    /// The flow's: addresses of another are not noted.
    family: Family,
    list: [Note; MOST_NOTES],
    count: usize,
    /// Nothing is noted while this is not zero.
    muted: usize,
}

impl Notes {
    pub(super) fn of(family: Family) -> Self {
        let none = Note {
            mark: Mark::Setup,
            what: What::Nothing,
        };
        Self {
            family,
            list: [none; MOST_NOTES],
            count: 0,
            muted: 0,
        }
    }

    /// Goes through a message of this type, which begins at `start` and ends with the bytes; what was noted before is forgotten. False where it is none:
    /// then nothing that is noted counts.
    pub(super) fn read(&mut self, bytes: &[u8], start: usize, of: &Type) -> bool {
        (self.count, self.muted) = (0, 0);
        let mut reader = Reader {
            bytes,
            at: start * 8,
            left: bytes.len().saturating_sub(start) * COMPONENTS_OF_AN_OCTET,
            met: What::Nothing,
            notes: self,
        };
        reader.value(of, 0).is_ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Note> {
        self.list[..self.count].iter()
    }

    fn add(&mut self, mark: Mark) -> Option<usize> {
        if self.muted > 0 || self.count == MOST_NOTES {
            return None;
        }
        self.list[self.count] = Note {
            mark,
            what: What::Nothing,
        };
        self.count += 1;
        Some(self.count - 1)
    }
}

/// No message has more: a Setup four, each of the thirty channels of its fast start and of the four of its tunnel nine, and the tunnel one.
const MOST_NOTES: usize = 4 + (30 + 4) * 9 + 1;
const DEEPEST: usize = 32;
/// No message has a component that takes less than a bit, but for lists of them and choices, and NULL.
const COMPONENTS_OF_AN_OCTET: usize = 32;

#[derive(Debug)]
struct Malformed;

type Read<T = ()> = Result<T, Malformed>;

struct Reader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
    /// How many components it goes through yet.
    left: usize,
    /// The last thing worth a note.
    met: What,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    fn value(&mut self, of: &Type, depth: usize) -> Read {
        if depth > DEEPEST || self.left == 0 {
            return Err(Malformed);
        }
        self.left -= 1;
        match of {
            Type::Null => {}
            // Seen: the kernel passes it by without a look at where the message ends.
            Type::Boolean => self.at += 1,
            Type::Integer { low, high } => {
                let number = self.integer(*low, *high)?;
                // Behind an address stands its port.
                if !matches!(self.met, What::Address(_)) {
                    self.met = What::Number(number);
                }
            }
            Type::Unbounded | Type::ObjectIdentifier => {
                // Never of more than one octet, for the kernel.
                let length = self.whole_octets(1)?;
                self.skip(length as usize)?;
            }
            Type::Octets(size) => self.octets(*size)?,
            Type::Bits(size) => self.bit_string(*size)?,
            Type::Characters(bits, size) => self.characters(usize::from(*bits), *size)?,
            Type::Containing(of) => {
                let length = self.length()?;
                self.enclosed(Some(of), length, depth)?;
            }
            Type::Address(family) => {
                self.align();
                let place = self.at / 8;
                self.skip(usize::from(family.bits() / 8))?;
                if *family == self.notes.family {
                    self.met = What::Address(place);
                }
            }
            Type::Refused => return Err(Malformed),
            Type::List(list) => self.list(list, depth)?,
            Type::Sequence(sequence) => self.sequence(sequence, depth)?,
            Type::Choice(choice) => self.choice(choice, depth)?,
            Type::Noted(mark, of) => {
                let note = self.notes.add(*mark);
                self.met = What::Nothing;
                let read = self.value(of, depth + 1);
                if let Some(note) = note {
                    self.notes.list[note].what = self.met;
                }
                return read;
            }
        }
        Ok(())
    }

    fn sequence(&mut self, sequence: &Sequence, depth: usize) -> Read {
        let extended = sequence.additions.is_some() && self.bits(1)? == 1;
        let is_optional = |field: &&Field| matches!(field.presence, Presence::May | Presence::StopAtOptional);
        let optional = sequence.fields.iter().filter(is_optional).count();
        let present = self.bitmap(optional)?;
        let mut bits = (0..optional).map(|at| present >> (31 - at) & 1 == 1);
        for field in sequence.fields {
            let there = match field.presence {
                Presence::Must => true,
                Presence::May => bits.next() == Some(true),
                Presence::StopAt | Presence::StopAtOptional => return Ok(()),
            };
            if there {
                self.value(field.of, depth + 1)?;
            }
        }
        let known = sequence.additions.unwrap_or_default();
        if !extended {
            return Ok(());
        }
        let count = self.bits(7)? as usize + 1;
        // No type has more, and the kernel would have no room for the bits.
        if count > 32 {
            return Err(Malformed);
        }
        let present = self.bitmap(count)?;
        // Seen: also where none is there.
        self.align();
        for at in 0..count {
            let there = present >> (31 - at) & 1 == 1;
            match known.get(at) {
                Some(Addition::Stop) => return Ok(()),
                Some(_) if !there => {}
                Some(Addition::Read(of)) => {
                    let length = self.length()?;
                    self.enclosed(Some(of), length, depth)?;
                }
                // Seen: what the kernel does not know is taken to be there, whatever the bit says.
                Some(Addition::Skip) | None => {
                    let length = self.length()?;
                    self.skip(length)?;
                }
            }
        }
        Ok(())
    }

    fn choice(&mut self, choice: &Choice, depth: usize) -> Read {
        let added = choice.additions.is_some() && self.bits(1)? == 1;
        if !added {
            let index = self.bits(bits_for(choice.root.len() as u32))? as usize;
            let alternative = choice.root.get(index).ok_or(Malformed)?;
            return self.value(alternative, depth + 1);
        }
        let index = self.bits(7)? as usize;
        let length = self.length()?;
        let known = choice.additions.and_then(|added| added.get(index));
        self.enclosed(known.copied(), length, depth)
    }

    /// What has a length before it. The kernel does not look whether it ended in time.
    fn enclosed(&mut self, of: Option<&Type>, length: usize, depth: usize) -> Read {
        let start = self.at;
        if let Some(of) = of {
            self.value(of, depth + 1)?;
        }
        self.jump(start + length * 8)
    }

    fn list(&mut self, list: &List, depth: usize) -> Read {
        let count = self.size(list.size)?;
        for at in 0..count {
            if at == list.noted {
                self.notes.muted += 1;
            }
            self.value(list.of, depth + 1)?;
        }
        if count > list.noted {
            self.notes.muted -= 1;
        }
        Ok(())
    }

    fn octets(&mut self, size: Size) -> Read {
        match size {
            Size::Fixed(count) if count <= 2 => self.bits(usize::from(count) * 8).map(|_| ()),
            _ => {
                let count = self.size(size)?;
                self.skip(count)
            }
        }
    }

    fn bit_string(&mut self, size: Size) -> Read {
        let count = self.size(size)?;
        if !matches!(size, Size::Fixed(0..=16)) {
            self.align();
        }
        self.jump(self.at + count)
    }

    fn characters(&mut self, bits: usize, size: Size) -> Read {
        let count = self.size(size)?;
        self.align();
        self.jump(self.at + count * bits)
    }

    fn size(&mut self, size: Size) -> Read<usize> {
        Ok(match size {
            Size::Any => self.length()?,
            Size::Fixed(count) => usize::from(count),
            Size::Between(low, high) => self.integer(low.into(), high.into())? as usize,
        })
    }

    /// A number between two bounds.
    fn integer(&mut self, low: u32, high: u32) -> Read<u32> {
        let offset = match high - low {
            range @ 0..=254 => self.bits(bits_for(range + 1))?,
            255 => self.whole_octets(1)?,
            256..=0xffff => self.whole_octets(2)?,
            _ => {
                let octets = self.bits(2)? as usize + 1;
                let number = self.whole_octets(octets)?;
                // Seen: the kernel wants as many octets again to be there behind it.
                if self.at / 8 + octets > self.bytes.len() {
                    return Err(Malformed);
                }
                number
            }
        };
        Ok(low.wrapping_add(offset))
    }

    /// How many octets or elements follow. Parts of 16,384 (bits 11) are read as the kernel reads them, as if they were bits 10.
    fn length(&mut self) -> Read<usize> {
        self.align();
        // Seen: the kernel wants two octets to be there, though the length takes one.
        if self.at / 8 + 2 > self.bytes.len() {
            return Err(Malformed);
        }
        let first = self.whole_octets(1)?;
        Ok(match first {
            0..=0x7f => first as usize,
            _ => ((first & 0x3f) << 8 | self.whole_octets(1)?) as usize,
        })
    }

    /// Up to 32 bits that say what is there, the first as the highest.
    fn bitmap(&mut self, count: usize) -> Read<u32> {
        let start = self.at;
        let end = start + count;
        self.jump(end)?;
        if count == 0 {
            return Ok(0);
        }
        let first_octet = start / 8;
        // Seen: one that ends with the fourth octet from where it began is taken from the first bit of that one.
        let from = match end - first_octet * 8 {
            32 => first_octet * 8,
            _ => start,
        };
        let mut map = 0;
        for at in (from..end).take(count) {
            map |= u32::from(self.bit(at)) << (31 - (at - from));
        }
        Ok(map)
    }

    fn bits(&mut self, count: usize) -> Read<u32> {
        let start = self.at;
        self.jump(start + count)?;
        Ok((start..self.at).fold(0, |number, at| number << 1 | u32::from(self.bit(at))))
    }

    fn bit(&self, at: usize) -> u8 {
        self.bytes[at / 8] >> (7 - at % 8) & 1
    }

    fn whole_octets(&mut self, count: usize) -> Read<u32> {
        self.align();
        self.bits(count * 8)
    }

    fn skip(&mut self, octets: usize) -> Read {
        self.align();
        self.jump(self.at + octets * 8)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    fn jump(&mut self, to: usize) -> Read {
        if to > self.bytes.len() * 8 {
            return Err(Malformed);
        }
        self.at = to;
        Ok(())
    }
}

/// How many bits tell so many values apart.
fn bits_for(values: u32) -> usize {
    (u32::BITS - (values - 1).leading_zeros()) as usize
}
