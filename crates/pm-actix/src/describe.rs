//! Describes a request as a task: its id, kind and attributes.

use std::rc::Rc;

use actix_web::dev::ServiceRequest;
use actix_web::http::header;
use pm_core::{CancelPolicy, ProcessList, Supervisor, TaskBuilder};

type Describe = dyn for<'l> Fn(TaskBuilder<'l>, &ServiceRequest) -> TaskBuilder<'l>;

/// The configuration of the middleware.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) list: ProcessList,
    pub(crate) on_cancel: Option<CancelPolicy>,
    pub(crate) describe: Option<Rc<Describe>>,
}

impl Config {
    /// Starts the task of a request.
    pub(crate) fn start(&self, request: &ServiceRequest) -> Supervisor {
        let field = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let id = field(header::HeaderName::from_static("x-request-id")).filter(|id| !id.is_empty());
        let mut task = match id {
            Some(id) => self.list.task(id),
            None => self.list.unnamed(),
        };
        // Methods that clients make up share one name.
        let method = match request.method().as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH") => known,
            _ => "OTHER",
        };
        task = match request.match_pattern() {
            // Of a scope without a path, such as files at the root, it is empty.
            Some(route) if !route.is_empty() => task.kind(&[method, " ", &route].concat()),
            _ => task.kind(method),
        };
        task = task.attr("method", request.method().as_str()).attr("path", request.path());
        if let Some(peer) = request.peer_addr() {
            task = task.attr("peer", peer.to_string().as_str());
        }
        if let Some(agent) = field(header::USER_AGENT) {
            task = task.attr("user_agent", agent);
        }
        if let Some(policy) = self.on_cancel {
            task = task.on_cancel(policy);
        }
        if let Some(describe) = &self.describe {
            task = describe(task, request);
        }
        task.supervise_with_status("handling")
    }
}
