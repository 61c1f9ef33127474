//! Holds `openapi.json` to the types of `pm-wire`, member by member and word by word.

use std::collections::BTreeSet;

use super::described::Document;

/// The members of a part of the description, which may be a reference.
fn members_at(document: &Document, pointer: &str) -> BTreeSet<String> {
    let mut schema = &document.0["components"]["schemas"];
    for step in pointer.split('/') {
        schema = document.resolve(&schema[step]);
    }
    schema["properties"].as_object().unwrap_or_else(|| panic!("no members at {pointer}")).keys().cloned().collect()
}

#[test]
fn the_shapes_are_described_member_by_member_as_their_types_have_them() {
    use pm_wire::v1::*;
    use pm_wire::{HistoryReply, Progress, TaskList, TaskRow, VerdictReply, members_of};
    let document = Document::new();
    let problem: &[&str] = members_of::<Problem>();
    for (pointer, members) in [
        ("TreeRow", members_of::<Row>()),
        ("CancelRequest", members_of::<CancelRequest>()),
        ("Progress", members_of::<Progress>()),
        ("Page", members_of::<TaskPage>()),
        ("Page/properties/groups/items", members_of::<Group>()),
        ("Page/properties/missing", members_of::<Missing>()),
        ("OneTask", members_of::<TaskReply>()),
        ("History", members_of::<History>()),
        ("History/properties/history/items", members_of::<HistoryEntry>()),
        ("CancelOne", members_of::<CancelOptions>()),
        ("CancelOne/properties/expect", members_of::<Expect>()),
        ("CancelMany", members_of::<BulkCancel>()),
        ("Cancelled", members_of::<BulkReply>()),
        ("Kinds", members_of::<KindReport>()),
        ("Kind", members_of::<KindStats>()),
        ("Kind/properties/latency", members_of::<Latency>()),
        ("Kind/properties/latency/properties/buckets/items", members_of::<Bucket>()),
        ("Kind/properties/statuses/items", members_of::<StatusTime>()),
        ("Waits", members_of::<WaitReport>()),
        ("Waits/properties/cycles/items", members_of::<Cycle>()),
        ("Waits/properties/cycles/items/properties/steps/items", members_of::<CycleStep>()),
        ("Waits/properties/tree/items", members_of::<WaitTreeRow>()),
        ("Wait", members_of::<BlockedTask>()),
        ("Wait/properties/holders/items", members_of::<ResourceHolder>()),
        ("Waiter", members_of::<Waiter>()),
        ("Audit", members_of::<AuditReport>()),
        ("Audit/properties/records/items", members_of::<AuditRecord>()),
        ("Info", members_of::<Info>()),
        ("Info/properties/limits", members_of::<Limits>()),
        ("Info/properties/settings", members_of::<ListSettings>()),
        ("Info/properties/counters", members_of::<Counters>()),
        ("Info/properties/dropped", members_of::<Dropped>()),
        ("Info/properties/own", members_of::<Own>()),
        ("Info/properties/audit", members_of::<AuditHealth>()),
        ("Info/properties/tokens", members_of::<TokensHealth>()),
        ("Info/properties/tls", members_of::<TlsHealth>()),
        ("OldList", members_of::<TaskList>()),
        ("OldList/properties/procs/items", members_of::<TaskRow>()),
        ("OldHistory", members_of::<HistoryReply>()),
        ("OldVerdict", members_of::<VerdictReply>()),
    ] {
        let known: BTreeSet<String> = members.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(members_at(&document, pointer), known, "{pointer}");
    }
    // A verdict is described by what it says, and a problem without the member that only cancelled requests have.
    let verdict = ["Ended", "Cancelling", "Cancelled/properties/verdicts/items"];
    let verdict: BTreeSet<String> = verdict.iter().flat_map(|pointer| members_at(&document, pointer)).collect();
    assert_eq!(verdict, members_of::<TaskVerdict>().iter().map(|name| (*name).to_owned()).collect());
    let known = problem.iter().filter(|name| **name != "serial").map(|name| (*name).to_owned());
    assert_eq!(members_at(&document, "Problem"), known.collect());
}

#[test]
fn the_words_are_described_as_their_types_know_them() {
    use pm_wire::v1::*;
    let document = Document::new();
    let words = |pointer: &str| {
        let schema = pointer
            .split('/')
            .fold(&document.0["components"]["schemas"], |schema, step| document.resolve(&schema[step]));
        schema["enum"].as_array().unwrap_or_else(|| panic!("no words at {pointer}")).clone()
    };
    for (pointer, known) in [
        ("Outcome", Outcome::KNOWN),
        ("Verdict", Verdict::KNOWN),
        ("Row/properties/state", TaskState::KNOWN),
        ("Waiter/properties/resourceKind", ResourceKind::KNOWN),
        ("Info/properties/scope", Permission::KNOWN),
        ("Audit/properties/records/items/properties/action", AuditAction::KNOWN),
        ("ServerSentEvent/properties/event", &Event::TYPES),
    ] {
        assert_eq!(words(pointer), known.to_vec(), "{pointer}");
    }
}
