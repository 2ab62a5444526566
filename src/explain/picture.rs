//! placeholder
use super::account::Account;
pub fn draw(_account: &Account) -> String {
    String::new()
}
