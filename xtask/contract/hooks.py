"""What the description of the API can't say, or what does not arrive as it was meant."""

import schemathesis

# Ceilings of a filter, over all its parameters: crates/pm-wire/src/filter/mod.rs.
CONDITIONS, ALTERNATIVES = 64, 256


def flat(query):
    """Names and values as they are sent; the members of `attr` are parameters of their own."""
    for name, value in query.items():
        if name == "attr" and isinstance(value, dict):
            yield from value.items()
        elif isinstance(value, list) and not name.startswith("attr."):
            yield from ((name, item) for item in value)
        else:
            yield name, value


@schemathesis.hook
def filter_query(context, query):
    sent = list(flat(query or {}))
    few = len(sent) <= CONDITIONS and all(str(value).count(",") < ALTERNATIVES for _, value in sent)
    # The value of an attribute that is no text is sent as one, which is good: nothing as the empty text, [None] as null.
    as_meant = all(isinstance(value, str) for name, value in sent if name.startswith("attr."))
    return few and as_meant
