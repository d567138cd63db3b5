//! The requests that wait for a session, within bounds.

use std::collections::HashMap;

use crate::domain::account::AccountName;
use crate::domain::session::Ticket;

/// The most requests that wait for an answer at a time, and of these the most for one account: one provider that hangs leaves the
/// others their places.
pub(super) const MOST_WAITING: usize = 256;
const MOST_OF_ACCOUNT: usize = 32;

/// The requests that wait, each with its account.
pub(super) struct Tickets<R> {
    last: u64,
    waiting: HashMap<Ticket, (AccountName, R)>,
}

impl<R> Default for Tickets<R> {
    fn default() -> Self {
        Self { last: 0, waiting: HashMap::new() }
    }
}

impl<R> Tickets<R> {
    /// Returns whether there is room for one more request for this account.
    pub(super) fn has_room_for(&self, account: &AccountName) -> bool {
        let of_account = self.waiting.values().filter(|(other, _)| other == account).count();
        self.waiting.len() < MOST_WAITING && of_account < MOST_OF_ACCOUNT
    }

    /// Issues a ticket for a request, also where there is no room.
    pub(super) fn issue(&mut self, account: &AccountName, request: R) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        self.waiting.insert(ticket, (account.clone(), request));
        ticket
    }

    /// Takes back a ticket, for the request that waits.
    pub(super) fn redeem(&mut self, ticket: Ticket) -> Option<R> {
        self.waiting.remove(&ticket).map(|(_, request)| request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all the room that there is for an account, and returns the tickets.
    fn fill(tickets: &mut Tickets<()>, account: &AccountName) -> Vec<Ticket> {
        let mut issued = Vec::new();
        while tickets.has_room_for(account) {
            issued.push(tickets.issue(account, ()));
        }
        issued
    }

    #[test]
    fn requests_for_one_account_leave_others_their_room() {
        let mut tickets = Tickets::default();
        let [garden, house] = ["garden", "house"].map(|name| name.parse().unwrap());
        let issued = fill(&mut tickets, &garden);
        assert_eq!(issued.len(), 32);
        assert!(tickets.has_room_for(&house));
        assert_eq!(tickets.redeem(issued[0]), Some(()));
        assert_eq!(tickets.redeem(issued[0]), None, "each is answered once");
        assert!(tickets.has_room_for(&garden));
    }

    #[test]
    fn requests_for_many_accounts_take_no_memory_without_end() {
        let mut tickets = Tickets::default();
        let accounts = (0..100).map(|number| format!("account-{number}").parse().unwrap());
        let issued: usize = accounts.map(|account| fill(&mut tickets, &account).len()).sum();
        assert_eq!(issued, MOST_WAITING);
    }
}
