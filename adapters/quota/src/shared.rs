//! Counting in shared data, which has no change of several records at once.

use crate::config::{Config, OnError};
use crate::counters::{Answer, Charge, Counters, Standing, Take};
use crate::ledger::{Demand, Ledger, Taken};
use crate::store::Store;
use mixer_host::shared_data::Unavailable;

pub struct Shared<'a, S> {
    ledger: Ledger<'a, S>,
    on_error: OnError,
}

impl<'a, S: Store> Shared<'a, S> {
    pub fn new(config: &'a Config, store: &'a S) -> Self {
        Self {
            ledger: Ledger {
                store,
                deduplication: &config.deduplication,
            },
            on_error: config.on_error,
        }
    }

    /// Where there are several, an exhausted one is found before any is touched: what is taken
    /// and given back would be missed by others in the meantime.
    fn look(&self, take: &Take) -> Option<Vec<Option<Standing>>> {
        if take.charges.iter().filter(|c| !c.shadow).count() < 2 {
            return None;
        }
        let look = |charge: &Charge| match charge.shadow {
            true => None,
            false => {
                let amount = u64::try_from(charge.cost).unwrap_or(0);
                self.ledger.look(&charge.account, amount).ok()
            }
        };
        let seen: Vec<_> = take.charges.iter().map(look).collect();
        seen.iter().flatten().any(|s| s.refused).then_some(seen)
    }

    fn take_all(&self, take: &Take) -> Vec<Option<Standing>> {
        let mut standings = vec![None; take.charges.len()];
        let mut taken = Vec::with_capacity(take.charges.len());
        for (at, charge) in shadows_last(&take.charges) {
            let found = self.move_amount(charge, take);
            let ends = match &found {
                Ok(one) => one.standing.refused && !take.best_effort,
                Err(_) => self.on_error == OnError::Deny,
            };
            if let Ok(one) = found {
                standings[at] = Some(one.standing);
                taken.push((charge, one));
            }
            if ends && !charge.shadow {
                self.undo(&taken);
                break;
            }
        }
        standings
    }

    /// Takes the amount of a charge; a negative one comes back.
    fn move_amount(&self, charge: &Charge, take: &Take) -> Result<Taken, Unavailable> {
        let Ok(amount) = u64::try_from(charge.cost) else {
            let amount = charge.cost.unsigned_abs();
            return self.ledger.put_back(&charge.account, amount);
        };
        let demand = Demand {
            amount,
            best_effort: take.best_effort || charge.shadow,
            id: take.id,
        };
        self.ledger.take(&charge.account, &demand)
    }

    fn undo(&self, taken: &[(&Charge, Taken)]) {
        for (charge, one) in taken.iter().filter(|(_, one)| one.standing.granted > 0) {
            // A store that fails now keeps what was taken until it comes back by itself.
            let _ = self.ledger.undo(&charge.account, one);
        }
    }
}

impl<S: Store> Counters for Shared<'_, S> {
    fn take(&self, take: &Take) -> Answer {
        Answer::Now(self.look(take).unwrap_or_else(|| self.take_all(take)))
    }
}

/// With their places. Nothing is taken of a shadow before all others have passed.
fn shadows_last(charges: &[Charge]) -> impl Iterator<Item = (usize, &Charge)> {
    let of = |shadow| move |(_, charge): &(usize, &Charge)| charge.shadow == shadow;
    let all = || charges.iter().enumerate();
    all().filter(of(false)).chain(all().filter(of(true)))
}
