//! Where packets come from and go to: memory, pcapng, TUN.
