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
    # An attribute that is nothing, or a list or an object with nothing in it, is sent as the empty text, which is good.
    as_meant = not any(name.startswith("attr.") and value in (None, [], {}) for name, value in sent)
    return few and as_meant
