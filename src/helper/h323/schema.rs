//! How a module of ASN.1 is written down: what stands in the first brackets is a type's root, in the second what may follow its `...`. The names are the
//! module's own, and only for who reads it beside the Recommendation.

/// `sequence! { [Must "name" TYPE, May "name" TYPE] [additions] }`, without the second brackets where the type has no `...`.
macro_rules! sequence {
    ([$($presence:ident $name:literal $of:expr),*]) => {
        $crate::helper::h323::per::Type::Sequence($crate::helper::h323::per::Sequence {
            fields: &[$($crate::helper::h323::schema::field!($presence $of)),*],
            additions: None,
        })
    };
    ([$($presence:ident $name:literal $of:expr),*] [$($addition:expr),*]) => {
        $crate::helper::h323::per::Type::Sequence($crate::helper::h323::per::Sequence {
            fields: &[$($crate::helper::h323::schema::field!($presence $of)),*],
            additions: Some(&[$($addition),*]),
        })
    };
}

macro_rules! field {
    ($presence:ident $of:expr) => {
        $crate::helper::h323::per::Field {
            presence: $crate::helper::h323::per::Presence::$presence,
            of: &$of,
        }
    };
}

/// `choice! { ["name" TYPE, "name" TYPE] ["name" TYPE] }`, without the second brackets where the type has no `...`.
macro_rules! choice {
    ([$($name:literal $of:expr),*]) => {
        $crate::helper::h323::per::Type::Choice($crate::helper::h323::per::Choice {
            root: &[$(&$of),*],
            additions: None,
        })
    };
    ([$($name:literal $of:expr),*] [$($added:literal $of_added:expr),*]) => {
        $crate::helper::h323::per::Type::Choice($crate::helper::h323::per::Choice {
            root: &[$(&$of),*],
            additions: Some(&[$(&$of_added),*]),
        })
    };
}

/// `list! { size, TYPE, of how many elements something is noted }`
macro_rules! list {
    ($size:expr, $of:expr, $noted:literal) => {
        $crate::helper::h323::per::Type::List($crate::helper::h323::per::List {
            size: $size,
            of: &$of,
            noted: $noted,
        })
    };
}

pub(super) use {choice, field, list, sequence};
