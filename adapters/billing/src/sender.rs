//! The way of entries into the ledger: a shared queue that a host with a ledger has, or that
//! another plugin registered.

use mixer_host::root;
use mixer_host::shared_queue::{enqueue, resolve, Refused};

const VM_ID: &str = "mixer";
const QUEUE: &str = "usage";

pub struct Sender {
    queue: Option<u32>,
    /// Plans that the queue does not have yet.
    plans: Vec<Vec<u8>>,
    /// Whether the log has it that there is no queue, or that it takes nothing.
    told: bool,
}

impl Sender {
    pub fn new(plans: Vec<Vec<u8>>) -> Self {
        Self {
            queue: None,
            plans,
            told: false,
        }
    }

    /// Puts the plans into the queue, if there is one.
    ///
    /// A host tells of one that its ledger does not take; it cannot be used then.
    pub fn begin(&mut self) -> Result<(), Refused> {
        let queue = self.queue()?;
        while let Some(plan) = self.plans.last() {
            self.told(enqueue(queue, plan))?;
            self.plans.pop();
        }
        Ok(())
    }

    /// Puts an entry into the queue, after the plans.
    pub fn send(&mut self, entry: &[u8]) -> Result<(), Refused> {
        self.begin()?;
        let queue = self.queue()?;
        self.told(enqueue(queue, entry))
    }

    fn queue(&mut self) -> Result<u32, Refused> {
        // It may be registered after this plugin began.
        self.queue = self.queue.or_else(|| resolve(VM_ID, QUEUE));
        match self.queue {
            Some(queue) => Ok(queue),
            None => self.told(Err(Refused::NotFound)).map(|()| 0),
        }
    }

    fn told(&mut self, result: Result<(), Refused>) -> Result<(), Refused> {
        let why = match result {
            Ok(()) => {
                self.told = false;
                return result;
            }
            Err(Refused::NotFound) => {
                self.queue = None;
                "there is no such queue: is there a ledger?"
            }
            Err(Refused::Malformed) => "it does not take an entry",
            Err(Refused::Failed) => "it is full, or the ledger cannot be reached",
        };
        if !self.told {
            self.told = true;
            root::log_error(&format!(
                "billing: the queue {QUEUE} of the vm_id {VM_ID} takes no usage: {why}; \
                 said once until it does"
            ));
        }
        result
    }
}
