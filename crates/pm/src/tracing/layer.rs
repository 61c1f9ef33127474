//! The layer, and its configuration.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pm_core::{CancelPolicy, ProcessList, global};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::counters::{Counts, TracingCounters};
use super::fields::{self, Fields, Formatter, Message, Names};
use super::marks::Marks;
use super::node::{Failure, Node, Nodes, SpanTask, next_layer};
use super::selection::Selection;
use super::stack;

/// How many bytes beyond the list's limits are formatted, so that the list marks the cut.
const BEYOND: usize = 1024;

/// Returns a layer that shows spans as tasks of the [`global`] list. See [`pm::tracing`](crate::tracing).
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
pub fn tracing_layer() -> SpansLayer {
    SpansLayer::new()
}

/// A [`Layer`] that shows spans as tasks. The [module documentation](crate::tracing) describes the mapping.
///
/// Spans with a field `pm.id` or `pm.kind` are tasks. [`target`](Self::target), [`name`](Self::name),
/// [`level`](Self::level), [`field`](Self::field) and [`when`](Self::when) select more; a span that matches any of them
/// is a task. All other spans cost a few nanoseconds.
///
/// ```
/// use tracing_subscriber::filter::LevelFilter;
/// use tracing_subscriber::prelude::*;
///
/// let list = pm::ProcessList::new();
/// let layer = pm::tracing::SpansLayer::new()
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
/// Two of these layers in one subscriber each have their own tasks, even for the same span; the task of the outer layer
/// is [`current`](crate::current).
#[must_use = "a layer does nothing until it is added to a subscriber"]
pub struct SpansLayer {
    key: u64,
    list: ProcessList,
    /// The longest value that is formatted, in bytes.
    max_formatted: usize,
    selection: Selection,
    id_from: Option<Box<str>>,
    on_cancel: Option<CancelPolicy>,
    spans: bool,
    events: LevelFilter,
    max_statuses: u32,
    fail_on_fields: bool,
    fail_on_events: bool,
    marks: Marks,
    counts: Arc<Counts>,
}

fn max_formatted(list: &ProcessList) -> usize {
    let limits = list.limits();
    limits.max_attr_value.max(limits.max_status).max(limits.max_id).saturating_add(BEYOND)
}

impl Default for SpansLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SpansLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpansLayer").field("list", &self.list).finish_non_exhaustive()
    }
}

impl SpansLayer {
    /// Creates a layer for the [`global`] list, with the defaults documented on each method.
    pub fn new() -> Self {
        Self {
            key: next_layer(),
            list: global().clone(),
            max_formatted: max_formatted(global()),
            selection: Selection::default(),
            id_from: None,
            on_cancel: None,
            spans: true,
            events: LevelFilter::INFO,
            max_statuses: 100,
            fail_on_fields: true,
            fail_on_events: true,
            marks: Marks::new(),
            counts: Arc::default(),
        }
    }

    /// Sets the list of the tasks. Default: the [`global`] list.
    pub fn list(mut self, list: &ProcessList) -> Self {
        self.list = list.clone();
        self.max_formatted = max_formatted(list);
        self
    }

    /// Sets the policy for cancels of all spans that are tasks. Default: that of the [list](crate::Options::on_cancel).
    ///
    /// A span is not a future, so it is only ever asked: code within it observes that through
    /// [`pm::current()`](crate::current). With `Refuse`, a cancel of a span is an error instead of a wish that code
    /// which does not look never grants. The policies of kinds,
    /// [`Options::on_cancel_of`](crate::Options::on_cancel_of), do not apply to spans then.
    ///
    /// ```
    /// let layer = pm::tracing_layer().name("request").on_cancel(pm::CancelPolicy::Refuse);
    /// # let _: pm::tracing::SpansLayer = layer;
    /// ```
    pub fn on_cancel(mut self, policy: CancelPolicy) -> Self {
        self.on_cancel = Some(policy);
        self
    }

    fn select(mut self, add: impl FnOnce(&mut Selection)) -> Self {
        self.selection.has_more = true;
        add(&mut self.selection);
        self
    }

    /// Selects spans whose target has this prefix: `shop` selects `shop`, `shop::jobs` and `shopping`.
    pub fn target(self, prefix: &str) -> Self {
        self.select(|selection| selection.targets.push(prefix.into()))
    }

    /// Selects spans with this name.
    pub fn name(self, name: &str) -> Self {
        self.select(|selection| selection.names.push(name.into()))
    }

    /// Selects spans of this level or above: `INFO` selects `INFO`, `WARN` and `ERROR`.
    pub fn level(self, level: Level) -> Self {
        self.select(|selection| selection.level = Some(level))
    }

    /// Selects spans with a field of this name, with or without a value.
    pub fn field(self, name: &str) -> Self {
        self.select(|selection| selection.fields.push(name.into()))
    }

    /// Selects spans for which `is_task` returns `true`. It is called for each span, so it should be fast; a panic is
    /// counted, and the span not selected.
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
        self.select(|selection| selection.when.push(Box::new(guarded)))
    }

    /// Takes the id of a task from this field of its span if there is no `pm.id`. The field needs its value when the
    /// span is created. Default: no field; ids are generated.
    pub fn id_from(mut self, field: &str) -> Self {
        self.id_from = Some(field.into());
        self
    }

    /// Shows the spans below a task as its statuses. Default: `true`.
    pub fn spans(mut self, shown: bool) -> Self {
        self.spans = shown;
        self
    }

    /// Shows events of these levels within a task as its statuses. Default: `INFO` and above.
    ///
    /// With [`LevelFilter::OFF`], none are; events of level `ERROR` still mark the task as failed, unless
    /// [`fail_on_error_events`](Self::fail_on_error_events) is `false`.
    pub fn events(mut self, level: LevelFilter) -> Self {
        self.events = level;
        self
    }

    /// Limits the statuses that a task takes from spans and events per second. Default: 100.
    ///
    /// The first one beyond the limit is replaced by the status `(statuses left out: too many in a second)`, since the
    /// previous status is out of date. The attribute `pm.statuses_left_out` counts them: it is updated each time the
    /// number has doubled, and exact when the task has ended. [`TracingCounters`] has the total of all tasks.
    pub fn max_statuses_per_second(mut self, count: u32) -> Self {
        self.max_statuses = count;
        self
    }

    /// Marks a task as failed when a field of its span does: `error`, unless it is `false`, empty or `None`, or
    /// `otel.status_code` with the value `ERROR`. The reason is the error, or `otel.status_message`. Default: `true`.
    pub fn fail_on_error_fields(mut self, fails: bool) -> Self {
        self.fail_on_fields = fails;
        self
    }

    /// Marks a task as failed when an event of level `ERROR` was logged within its span; the first one is the reason.
    /// `otel.status_code` with the value `OK` overrides this. Default: `true`.
    pub fn fail_on_error_events(mut self, fails: bool) -> Self {
        self.fail_on_events = fails;
        self
    }

    /// Returns the counters of this layer, which stay valid when the layer is gone.
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

    fn formatter(&self) -> Formatter<'_> {
        Formatter { max: self.max_formatted, panics: &self.counts.panics }
    }

    fn shared<S>(&self, span: &SpanRef<'_, S>) -> Option<Arc<SpanTask>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        span.extensions().get::<Nodes>()?.of(self.key).map(|node| node.shared.clone())
    }

    /// Returns the nearest task above a new span.
    fn above<S>(&self, attrs: &Attributes<'_>, id: &Id, context: &Context<'_, S>) -> Option<Arc<SpanTask>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if attrs.is_contextual() {
            stack::nearest(self.key)
        } else if attrs.is_root() {
            None
        } else {
            // Every span below a task has a node; those that a filter hides from this layer are skipped.
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
        let (task, failure) = fields::with_scratch(|scratch| {
            let (formatter, id_from) = (self.formatter(), self.id_from.as_deref());
            let mut names = Names { formatter, id: &mut scratch.id, kind: &mut scratch.kind, id_from, has_id: false };
            attrs.record(&mut names);
            let builder = if scratch.id.is_empty() { self.list.unnamed() } else { self.list.task(&scratch.id) };
            let builder = builder.kind(if scratch.kind.is_empty() { name } else { &scratch.kind });
            let builder = match self.on_cancel {
                Some(policy) => builder.on_cancel(policy),
                None => builder,
            };
            let failure = self.fail_on_fields.then(Failure::default);
            let mut fields =
                Fields { formatter, text: &mut scratch.text, to: Some(builder), is_start: true, id_from, failure };
            attrs.record(&mut fields);
            let above = self.above(attrs, id, context);
            let builder = match (fields.to, above) {
                (Some(builder), Some(above)) => builder.parent(above.handle),
                (Some(builder), None) if attrs.is_root() => builder.detached(),
                (Some(builder), None) => builder,
                // Unreachable: the builder is put back each time.
                (None, _) => self.list.unnamed(),
            };
            (builder.supervise(), fields.failure)
        });
        self.counts.tasks.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(SpanTask::new(task.handle(), name, self.max_statuses, self.counts.clone()));
        if let Some(failure) = failure {
            shared.add_failure(failure);
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
            // The task ends when the span's data is dropped, right after this. Not here, since its end runs hooks: the
            // registry would never free a span that they open and close while this one is being closed.
        };
        if let Some(shared) = was_status {
            shared.close(id.into_u64());
        }
    }

    #[inline(never)]
    fn record_event(&self, event: &Event<'_>, shared: &SpanTask, fails: bool, is_status: bool) {
        // Checked first, so that statuses left out are not formatted either.
        let is_status = is_status && shared.takes_status();
        if !is_status && !fails {
            return;
        }
        fields::with_scratch(|scratch| {
            let mut message = Message { formatter: self.formatter(), text: &mut scratch.text, has_message: false };
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

impl<S> Layer<S> for SpansLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if self.selection.selects(attrs.metadata()) {
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
            let failure = self.fail_on_fields.then(Failure::default);
            let (formatter, to) = (self.formatter(), shared.handle);
            let mut fields = Fields { formatter, text: &mut scratch.text, to, is_start: false, id_from: None, failure };
            values.record(&mut fields);
            if let Some(failure) = fields.failure {
                shared.add_failure(failure);
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
            self.record_event(event, &shared, fails, is_status);
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
