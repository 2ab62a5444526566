//! A lab: its description, scripts and expectations, the event loop, namespaces, running labs and their control socket.

pub mod file;
pub mod problem;
