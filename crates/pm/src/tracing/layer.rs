//! The layer itself.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pm_core::{ProcessList, global};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::choice::Choice;
use super::counters::{Counts, TracingCounters};
use super::fields::{self, Fields, Message, Names, Texts};
use super::marks::Marks;
use super::node::{Failing, Node, Nodes, Shared, next_layer};
use super::stack;

/// How much longer a text may be than what is kept, so that a cut is seen to be one.
const BEYOND: usize = 1024;

/// A layer that turns spans into tasks of the [`global`] list. See [`tracing`](crate::tracing).
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let subscriber = tracing_subscriber::registry().with(pm::tracing_layer());
/// # tracing::subscriber::with_default(subscriber, || {
/// let import = tracing::info_span!("import", pm.id = "import-42", rows = 0).entered();
/// import.record("rows", 7);
/// assert_eq!(pm::global().find("import-42").len(), 1);
/// # });
/// ```
pub fn tracing_layer() -> TasksLayer {
    TasksLayer::new()
}

/// A [`Layer`] that turns spans into tasks. See [the module](crate::tracing) for what becomes of what.
///
/// Spans with a field `pm.id` or `pm.kind` are tasks. [`target`](Self::target), [`name`](Self::name),
/// [`level`](Self::level), [`field`](Self::field) and [`when`](Self::when) add others: one of them is enough. All other spans
/// are let be, and cost a few nanoseconds.
///
/// ```
/// use tracing_subscriber::filter::LevelFilter;
/// use tracing_subscriber::prelude::*;
///
/// let list = pm::ProcessList::new();
/// let layer = pm::tracing::TasksLayer::new()
///     .list(&list)
///     .target("shop::jobs")
///     .name("request")
///     .id_from("request_id")
///     .events(LevelFilter::DEBUG);
/// let subscriber = tracing_subscriber::registry().with(layer);
/// # tracing::subscriber::with_default(subscriber, || {
/// let _request = tracing::info_span!("request", request_id = 42).entered();
/// assert_eq!(list.find("42").len(), 1);
/// # });
/// ```
///
/// With another layer of this sort beside it, each has its own tasks, also of the same span; that of the outer layer is
/// [`current`](crate::current).
#[must_use = "a layer does nothing until it is added to a subscriber"]
pub struct TasksLayer {
    key: u64,
    list: ProcessList,
    /// The longest text that is formatted, in bytes.
    most: usize,
    choice: Choice,
    id_from: Option<Box<str>>,
    spans: bool,
    events: LevelFilter,
    max_statuses: u32,
    fail_on_fields: bool,
    fail_on_events: bool,
    marks: Marks,
    counts: Arc<Counts>,
}

fn most(list: &ProcessList) -> usize {
    let limits = list.limits();
    limits.max_attr_value.max(limits.max_status).max(limits.max_id).saturating_add(BEYOND)
}

impl Default for TasksLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TasksLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TasksLayer").field("list", &self.list).finish_non_exhaustive()
    }
}

impl TasksLayer {
    /// A layer for the [`global`] list, with the defaults that each method names.
    pub fn new() -> Self {
        Self {
            key: next_layer(),
            list: global().clone(),
            most: most(global()),
            choice: Choice::default(),
            id_from: None,
            spans: true,
            events: LevelFilter::INFO,
            max_statuses: 100,
            fail_on_fields: true,
            fail_on_events: true,
            marks: Marks::new(),
            counts: Arc::default(),
        }
    }

    /// Shows the tasks in this list. Default: the [`global`] one.
    pub fn list(mut self, list: &ProcessList) -> Self {
        self.list = list.clone();
        self.most = most(list);
        self
    }

    fn chosen_by(mut self, add: impl FnOnce(&mut Choice)) -> Self {
        self.choice.more = true;
        add(&mut self.choice);
        self
    }

    /// Makes tasks of spans whose target begins so: `shop` is for `shop`, `shop::jobs` and `shopping`.
    pub fn target(self, prefix: &str) -> Self {
        self.chosen_by(|choice| choice.targets.push(prefix.into()))
    }

    /// Makes tasks of spans with this name.
    pub fn name(self, name: &str) -> Self {
        self.chosen_by(|choice| choice.names.push(name.into()))
    }

    /// Makes tasks of all spans of this level or above: `INFO` is for `INFO`, `WARN` and `ERROR`.
    pub fn level(self, level: Level) -> Self {
        self.chosen_by(|choice| choice.level = Some(level))
    }

    /// Makes tasks of spans that have a field of this name, whether or not it has a value.
    pub fn field(self, name: &str) -> Self {
        self.chosen_by(|choice| choice.fields.push(name.into()))
    }

    /// Makes tasks of spans for which this is true. It is asked for each span, so it should be quick; a panic of it is
    /// counted and means no.
    ///
    /// ```
    /// use tracing::Level;
    ///
    /// let layer = pm::tracing_layer().when(|span| span.target().starts_with("shop") && *span.level() <= Level::INFO);
    /// ```
    pub fn when(self, is_task: impl Fn(&Metadata<'_>) -> bool + Send + Sync + 'static) -> Self {
        let counts = self.counts.clone();
        let guarded = move |metadata: &Metadata<'_>| {
            catch_unwind(AssertUnwindSafe(|| is_task(metadata))).unwrap_or_else(|_| {
                counts.panics.fetch_add(1, Ordering::Relaxed);
                false
            })
        };
        self.chosen_by(|choice| choice.when.push(Box::new(guarded)))
    }

    /// Takes the id of a task from this field of its span where there is no `pm.id`. It must have its value when the span is
    /// made. Default: none, and an id is made.
    pub fn id_from(mut self, field: &str) -> Self {
        self.id_from = Some(field.into());
        self
    }

    /// Whether spans below a task are its statuses. Default: yes.
    pub fn spans(mut self, yes: bool) -> Self {
        self.spans = yes;
        self
    }

    /// Which events within a task are its statuses. Default: `INFO` and above. With [`LevelFilter::OFF`] none is; events of
    /// level `ERROR` still fail the task, unless [told otherwise](Self::fail_on_error_events).
    pub fn events(mut self, level: LevelFilter) -> Self {
        self.events = level;
        self
    }

    /// The most statuses that a task takes from spans and events in a second. Default: 100.
    ///
    /// The first that is left out becomes the status `(statuses left out: too many in a second)`, as what was said last is
    /// not what the task is doing. How many were left out is the attribute `pm.statuses_left_out`, which is exact when the
    /// task has ended and told each time that it has doubled until then, and is in [`TracingCounters`].
    pub fn max_statuses_per_second(mut self, count: u32) -> Self {
        self.max_statuses = count;
        self
    }

    /// Whether a task has failed when its span says so: by the field `error`, unless that is `false`, empty or `None`, or by
    /// `otel.status_code`, which is `ERROR`. The reason is the error, or `otel.status_message`. Default: yes.
    pub fn fail_on_error_fields(mut self, yes: bool) -> Self {
        self.fail_on_fields = yes;
        self
    }

    /// Whether a task has failed when an event of level `ERROR` was logged in its span or below. The first one is the reason.
    /// `otel.status_code`, when it is `OK`, overrules it. Default: yes.
    pub fn fail_on_error_events(mut self, yes: bool) -> Self {
        self.fail_on_events = yes;
        self
    }

    /// What was left out and what went wrong, for as long as this is kept.
    ///
    /// ```
    /// let layer = pm::tracing_layer();
    /// let counters = layer.counters();
    /// // ...
    /// assert_eq!(counters.statuses_left_out(), 0);
    /// ```
    #[must_use]
    pub fn counters(&self) -> TracingCounters {
        TracingCounters::of(self.counts.clone())
    }

    fn texts(&self) -> Texts<'_> {
        Texts { most: self.most, panics: &self.counts.panics }
    }

    fn shared<S>(&self, span: &SpanRef<'_, S>) -> Option<Arc<Shared>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        span.extensions().get::<Nodes>()?.of(self.key).map(|node| node.shared.clone())
    }

    /// The nearest task above a span that is new.
    fn above<S>(&self, attrs: &Attributes<'_>, id: &Id, context: &Context<'_, S>) -> Option<Arc<Shared>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if attrs.is_contextual() {
            stack::nearest(self.key)
        } else if attrs.is_root() {
            None
        } else {
            // Every span below a task has a node; those that a filter hides from this layer are passed over.
            self.shared(&context.span(id)?.parent()?)
        }
    }

    fn keep<S>(&self, id: &Id, context: &Context<'_, S>, node: Node)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(span) = context.span(id) else { return };
        self.marks.add(id);
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Nodes>() {
            Some(nodes) => nodes.push(node),
            None => extensions.insert(Nodes::new(node)),
        }
    }

    #[inline(never)]
    fn begin<S>(&self, attrs: &Attributes<'_>, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if !self.list.is_enabled() {
            return;
        }
        let name = attrs.metadata().name();
        let (task, failing) = fields::with_scratch(|scratch| {
            let (texts, id_from) = (self.texts(), self.id_from.as_deref());
            let mut names = Names { texts, id: &mut scratch.id, kind: &mut scratch.kind, id_from, has_id: false };
            attrs.record(&mut names);
            let builder = if scratch.id.is_empty() { self.list.unnamed() } else { self.list.task(&scratch.id) };
            let builder = builder.kind(if scratch.kind.is_empty() { name } else { &scratch.kind });
            let failing = self.fail_on_fields.then(Failing::default);
            let mut fields =
                Fields { texts, text: &mut scratch.text, to: Some(builder), is_start: true, id_from, failing };
            attrs.record(&mut fields);
            let above = self.above(attrs, id, context);
            let builder = match (fields.to, above) {
                (Some(builder), Some(above)) => builder.parent(&above.handle),
                (Some(builder), None) if attrs.is_root() => builder.detached(),
                (Some(builder), None) => builder,
                // Never: it is put back each time.
                (None, _) => self.list.unnamed(),
            };
            (builder.supervise(), fields.failing)
        });
        self.counts.tasks.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared::new(task.handle(), name, self.max_statuses, self.counts.clone()));
        if let Some(failing) = failing {
            shared.failing(failing);
        }
        self.keep(id, context, Node::new(self.key, shared, Some(task)));
    }

    #[inline(never)]
    fn entered<S>(&self, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(span) = context.span(id) else { return };
        let Some((shared, is_first)) = (|| {
            let extensions = span.extensions();
            let node = extensions.get::<Nodes>()?.of(self.key)?;
            Some((node.shared.clone(), node.enter()))
        })() else {
            return;
        };
        if is_first && self.spans {
            shared.open(id.into_u64(), span.name());
        }
        stack::push(self.key, id.into_u64(), shared);
    }

    #[inline(never)]
    fn closed<S>(&self, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(span) = context.span(id) else { return };
        let was_status = {
            let mut extensions = span.extensions_mut();
            let Some(node) = extensions.get_mut::<Nodes>().and_then(|nodes| nodes.of_mut(self.key)) else { return };
            self.marks.remove(id);
            node.close().then(|| node.shared.clone())
            // The task ends when the span's data is dropped, right after this. Not here, for hooks run then: a span that
            // they open and close while another one is being closed would never be let go by the registry.
        };
        if let Some(shared) = was_status {
            shared.close(id.into_u64());
        }
    }

    #[inline(never)]
    fn said(&self, event: &Event<'_>, shared: &Shared, fails: bool, is_status: bool) {
        // First, so that what is left out is not formatted either.
        let is_status = is_status && shared.may_say();
        if !is_status && !fails {
            return;
        }
        fields::with_scratch(|scratch| {
            let mut message = Message { texts: self.texts(), text: &mut scratch.text, has_message: false };
            event.record(&mut message);
            if is_status && !message.text.is_empty() {
                shared.handle.note(message.text);
            }
            if fails {
                shared.failed_by_event(message.text);
            }
        });
    }
}

impl<S> Layer<S> for TasksLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if self.choice.takes(attrs.metadata()) {
            self.begin(attrs, id, &context);
        } else if let Some(shared) = self.above(attrs, id, &context) {
            self.keep(id, &context, Node::new(self.key, shared, None));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if !self.marks.may_have(id) {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let Some(shared) = (|| {
            let extensions = span.extensions();
            let node = extensions.get::<Nodes>()?.of(self.key)?;
            node.is_task().then(|| node.shared.clone())
        })() else {
            return;
        };
        fields::with_scratch(|scratch| {
            let failing = self.fail_on_fields.then(Failing::default);
            let (texts, to) = (self.texts(), shared.handle);
            let mut fields = Fields { texts, text: &mut scratch.text, to, is_start: false, id_from: None, failing };
            values.record(&mut fields);
            if let Some(failing) = fields.failing {
                shared.failing(failing);
            }
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let level = *event.metadata().level();
        let (fails, is_status) = (self.fail_on_events && level == Level::ERROR, level <= self.events);
        if !fails && !is_status {
            return;
        }
        let shared = if event.is_contextual() {
            stack::nearest(self.key)
        } else {
            context.event_span(event).and_then(|span| self.shared(&span))
        };
        if let Some(shared) = shared {
            self.said(event, &shared, fails, is_status);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if self.marks.may_have(id) {
            self.entered(id, &context);
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        stack::pop(self.key, id.into_u64());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if self.marks.may_have(&id) {
            self.closed(&id, &context);
        }
    }
}
