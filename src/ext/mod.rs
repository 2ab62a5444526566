//! Matches and targets: the option kit, the registry, one file an extension.
