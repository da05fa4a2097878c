//! What an application serves: its page, and the figures that the page asks for.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The address of an application, and somebody who asks it.
pub(super) struct Site {
    address: String,
    agent: Agent,
}

impl Site {
    pub(super) fn new(address: String) -> Site {
        // It is on this machine, whatever proxy there is for others.
        let config = Agent::config_builder().proxy(None).http_status_as_error(false);
        let agent = config.timeout_global(Some(ANSWER_LIMIT)).build().new_agent();
        Site { address, agent }
    }

    /// Its address as host:port.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The figures that an answer below `/api` has; none as long as it has none.
    pub(super) fn figures(&self, path: &str) -> Option<Value> {
        let mut answer = self.agent.get(format!("http://{}/api/{path}", self.address)).call().ok()?;
        let mut answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()?;
        let is_ready = answer.get("state").is_some_and(|state| state == "ready");
        is_ready.then(|| answer.get_mut("data").map(Value::take).unwrap_or_default())
    }
}

/// A number among figures; 0 where there is none.
pub(super) fn number(figures: &Value, name: &str) -> u64 {
    figures.get(name).and_then(Value::as_u64).unwrap_or(0)
}
