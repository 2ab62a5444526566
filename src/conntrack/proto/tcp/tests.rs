//! Conversations that the kernel was seen to have.

#[test]
fn a_track_is_small() {
    assert!(std::mem::size_of::<super::TcpTrack>() <= 64);
}
