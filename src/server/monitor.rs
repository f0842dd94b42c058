//! Everything that monitoring asks for, in one hand.

use std::sync::Arc;

use super::census::Census;
use super::ledger::Ledger;
use crate::meters::{Meters, Now};
use crate::tls::Tls;

/// What is counted, and what is so now.
#[derive(Debug)]
pub struct Monitor {
    /// Counts of events.
    pub meters: Arc<Meters>,
    /// Live sessions.
    pub ledger: Arc<Ledger>,
    census: Arc<Census>,
    tls: Option<Arc<Tls>>,
}

impl Monitor {
    /// Counts from zero.
    #[must_use]
    pub fn new(census: Arc<Census>, tls: Option<Arc<Tls>>) -> Self {
        Self {
            meters: Arc::default(),
            ledger: Arc::default(),
            census,
            tls,
        }
    }

    /// What is so at this moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let counts = self.census.watch();
        let counts = counts.borrow();
        Now {
            connections: counts.connections,
            sessions: counts.sessions,
            served: counts.served,
            moved: self.ledger.moved(),
            certificates: self.tls.as_deref().map(Tls::expiries).unwrap_or_default(),
        }
    }

    /// All of it as OpenMetrics 1.0 text.
    #[must_use]
    pub fn openmetrics(&self) -> String {
        self.meters.openmetrics(&self.now())
    }
}
