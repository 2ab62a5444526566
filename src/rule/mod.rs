//! What a ruleset is: tables, chains, rules, verdicts; the Match and Target traits. No syntax, no state.
