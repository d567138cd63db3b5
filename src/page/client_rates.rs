//! The rates at which the clients of the page may do something: no network locks out others, and all together stay slow.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::domain::client_address::{client_address, client_network};
use crate::domain::clock::BootTime;
use crate::domain::rate_limit::{Rate, Throttle};

/// The number of addresses, and of networks, whose rates are remembered.
const REMEMBERED: usize = 256;

/// The rates of one kind of act. That of a network is lower than that of all, so one network never uses up the common rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// The rate of one address.
    pub address: Rate,
    /// The rate of all addresses of one IPv6 network.
    pub network: Rate,
    /// The rate of all that is not spared.
    pub all: Rate,
    /// The part of the rate of each address that does not count towards the common one: a new client gets in while others use that up.
    pub spared: Rate,
}

/// The remaining budgets of all clients.
#[derive(Debug)]
pub(super) struct ClientRates {
    rates: Rates,
    addresses: HashMap<IpAddr, AddressBudget>,
    networks: HashMap<IpAddr, Throttle>,
    all: Throttle,
}

/// The remaining budgets of one address.
#[derive(Clone, Copy, Debug)]
struct AddressBudget {
    own: Throttle,
    spared: Throttle,
}

impl ClientRates {
    /// Rates of which nothing is used up yet.
    pub(super) fn new(rates: Rates) -> Self {
        Self { rates, addresses: HashMap::new(), networks: HashMap::new(), all: Throttle::new(rates.all) }
    }

    /// Takes one act of a client: from the budget of its address, then of its network, then of all. One that is refused is
    /// taken from none of them.
    ///
    /// # Errors
    /// The wait until it would be taken.
    pub(super) fn take(&mut self, client: IpAddr, now: BootTime) -> Result<(), Duration> {
        self.forget_whole(now);
        let (address, network) = (client_address(client), client_network(client));
        // Those for whom there is no room have the common rate alone, so what is spared has a bound as well.
        let mut of_address = self.addresses.get(&address).copied().or_else(|| {
            let Rates { address, spared, .. } = self.rates;
            let unused = AddressBudget { own: Throttle::new(address), spared: Throttle::new(spared) };
            (self.addresses.len() < REMEMBERED).then_some(unused)
        });
        let mut of_network = self.networks.get(&network).copied().or_else(|| {
            (address.is_ipv6() && self.networks.len() < REMEMBERED).then(|| Throttle::new(self.rates.network))
        });
        if let Some(budget) = &mut of_address {
            budget.own.take(now)?;
        }
        if let Some(budget) = &mut of_network {
            budget.take(now)?;
        }
        if of_address.as_mut().is_none_or(|budget| budget.spared.take(now).is_err()) {
            self.all.take(now)?;
        }
        self.addresses.extend(of_address.map(|budget| (address, budget)));
        self.networks.extend(of_network.map(|budget| (network, budget)));
        Ok(())
    }

    /// Gives an address its budget back.
    pub(super) fn restore(&mut self, client: IpAddr) {
        self.addresses.remove(&client_address(client));
    }

    fn forget_whole(&mut self, now: BootTime) {
        if self.addresses.len() >= REMEMBERED {
            self.addresses.retain(|_, budget| !budget.own.is_whole(now) || !budget.spared.is_whole(now));
        }
        if self.networks.len() >= REMEMBERED {
            self.networks.retain(|_, budget| !budget.is_whole(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const RATES: Rates = Rates {
        address: Rate { at_once: 5, pause: Duration::from_secs(12) },
        network: Rate { at_once: 15, pause: Duration::from_secs(8) },
        all: Rate { at_once: 30, pause: Duration::from_secs(6) },
        spared: Rate { at_once: 3, pause: Duration::from_secs(1_200) },
    };

    fn at(seconds: u64) -> BootTime {
        BootTime::new(Duration::from_secs(1_000 + seconds))
    }

    fn ipv4(number: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + number).into()
    }

    fn of_one_network(number: u64) -> IpAddr {
        Ipv6Addr::from((0xfd00_0001 << 96) + u128::from(number)).into()
    }

    #[test]
    fn a_neighbour_with_many_addresses_locks_nobody_of_another_network_out() {
        let mut rates = ClientRates::new(RATES);
        for second in 0..3_600 {
            for number in 0..10 {
                let _ = rates.take(of_one_network(10 * second + number), at(second));
            }
        }
        assert!(rates.take(ipv4(1), at(3_600)).is_ok());
        for second in 3_600..7_200 {
            for number in 0..10 {
                let _ = rates.take(ipv4(100 + number), at(second));
            }
        }
        assert!(rates.take(ipv4(2), at(7_200)).is_ok() && rates.take(ipv4(2), at(7_200)).is_ok());
    }

    #[test]
    fn what_is_refused_uses_up_nothing() {
        let mut rates = ClientRates::new(RATES);
        let taken = (0..100).filter(|number| rates.take(of_one_network(*number), at(0)).is_ok()).count();
        assert_eq!((taken, rates.addresses.len(), rates.networks.len()), (15, 15, 1));
    }

    #[test]
    fn addresses_that_are_made_up_without_end_take_no_memory_and_keep_to_the_common_rate() {
        let mut rates = ClientRates::new(RATES);
        let taken = (0..1_000).filter(|number| rates.take(Ipv6Addr::from(number << 64).into(), at(0)).is_ok()).count();
        assert!(rates.addresses.len() <= REMEMBERED && rates.networks.len() <= REMEMBERED);
        assert_eq!(taken, REMEMBERED + 30);
    }
}
