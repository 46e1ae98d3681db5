# SPDX-License-Identifier: BSD-2-Clause
"""A table of broken policies: (name, text, "LINE:COLUMN", a part of the reason), and the same as JSON where it can be."""
HEAD = "policies:\n  - name: bad\n    for_each: process\n"
WHEN = "    when: {metric: rates.cpu, threshold: 1}\n"
THEN = "    then: [log]\n"
BAD = []
JSON_BAD = []


def bad(name, text, place, reason):
    BAD.append((name, text, place, reason))


def rule(name, place, reason, more="", when=WHEN, then=THEN, head=HEAD):
    bad(name, head + when + then + more, place, reason)


def when(name, text, place, reason):
    rule(name, place, reason, when=f"    when: {text}\n")


def where(name, text, reason, place="6:13"):
    """In YAML's single quotes, which take everything but themselves."""
    rule(name, place, reason, more=f"    where: ['{text}']\n")


def then(name, text, place, reason, head=HEAD):
    rule(name, place, reason, then=f"    then: {text}\n", head=head)


# What is no YAML, or more of it than is taken.
bad("list_at_top", "- policies\n", "1:1", "mapping")
bad("scalar_at_top", "policies\n", "1:1", "mapping")
bad("no_list", "policies: 7\n", "1:11", "policies is not a list")
bad("mapping_for_list", "policies: {a: 1}\n", "1:11", "policies is not a list")
bad("item_no_mapping", "policies:\n  - log\n", "2:5", "policies[0] is not a mapping")
bad("unknown_at_top", HEAD + WHEN + THEN + "rules: []\n", "6:8", "rules is not known")
bad("duplicate_key", HEAD + "    name: again\n" + WHEN + THEN, "4:5", "'name' is given twice")
bad("duplicate_top", "policies: []\npolicies: []\n", "2:1", "'policies' is given twice")
bad("nul", b"policies: [\0]\n", "1:12", "a NUL byte")
bad("escaped_nul", HEAD.replace("bad", '"b\\0d"') + WHEN + THEN, "2:11", "a NUL byte")
bad("not_utf8", b"policies:\n  - name: a\xff\n", "2:12", "not valid UTF-8")
bad("control", b"policies:\n  - name: a\x1b[1m\n", "2:12", "control character U+001B")
bad("tab", "policies:\n\t- name: a\n", "2:1", "cannot start any token")
bad("indentation", HEAD + "   when: {metric: rates.cpu, threshold: 1}\n", "4:4", "did not find expected")
bad("unfinished", HEAD + "    when: {metric: rates.cpu\n", "5:1", "did not find expected ',' or '}'")
bad("anchor", HEAD + "    when: &a {metric: rates.cpu, threshold: 1}\n" + THEN, "4:11", "anchors are not supported")
bad("alias", HEAD + "    when: *a\n" + THEN, "4:11", "aliases are not supported")
bad("tag", HEAD.replace("bad", "!!str bad") + WHEN + THEN, "2:11", "tags are not supported")
bad("two_documents", HEAD + WHEN + THEN + "---\npolicies: []\n", "6:1", "more than one document")
bad("deep", "policies: " + 20 * "[" + 20 * "]" + "\n", "1:26", "nested deeper than 16")
bad("list_as_key", "policies:\n  - [a]: 1\n", "2:5", "where a name is expected")

# Members.
for member, text in (("name", "    for_each: process\n" + WHEN + THEN), ("for_each", "    name: bad\n" + WHEN + THEN),
                     ("when", "    name: bad\n    for_each: host\n" + THEN), ("then", "    name: bad\n    for_each: host\n" + WHEN)):
    bad(f"no_{member}", "policies:\n  - " + text.lstrip(), "2:5", f"policies[0].{member} is missing")
rule("unknown_member", "6:16", "policies[0].threshold is not known", more="    threshold: 5\n")
rule("name_characters", "2:11", "other characters than letters", head=HEAD.replace("bad", '"b d"'))
rule("name_long", "2:11", "not a string of 1 to 63 bytes", head=HEAD.replace("bad", 64 * "x"))
rule("name_empty", "2:11", "not a string of 1 to 63 bytes", head=HEAD.replace("bad", '""'))
rule("name_number", "2:11", "not a string of 1 to 63 bytes", head=HEAD.replace("bad", "17"))
rule("name_twice", "6:11", "is 'bad', as that of another policy", more=(HEAD + WHEN + THEN)[10:])
rule("bad_kind", "3:15", 'none of "process", "cgroup", "vm"', head=HEAD.replace("process", "thread"))
rule("severity", "6:15", 'none of "info", "warning", "error"', more="    severity: fatal\n")
rule("dry_run", "6:14", "neither true nor false", more="    dry_run: yes\n")
rule("when_string", "4:11", "policies[0].when is not an object", when="    when: rates.cpu > 5\n")
rule("when_empty", "4:10", "policies[0].when is not an object", when="    when:\n")
rule("then_string", "5:11", "policies[0].then is not a list of 1 to 8 items", then="    then: log\n")
rule("then_empty", "5:11", "policies[0].then is not a list of 1 to 8 items", then="    then: []\n")
rule("then_many", "5:11", "not a list of 1 to 8 items", then=f"    then: [{', '.join(9 * ['log'])}]\n")
rule("where_string", "6:12", "policies[0].where is not a list", more="    where: comm = a\n")
rule("where_number", "6:13", "policies[0].where[0] is not a string", more="    where: [7]\n")
rule("where_many", "6:12", "not a list of 1 to 16 items", more=f"    where: [{', '.join(17 * ['uid = 1'])}]\n")
rule("max_active_0", "6:17", "not an integer from 1 to 100000", more="    max_active: 0\n")
rule("max_active_text", "6:17", "not an integer from 1 to 100000", more="    max_active: many\n")
rule("cooldown_unit", "6:15", "'10 parsecs' is not a time", more="    cooldown: 10 parsecs\n")
rule("cooldown_negative", "6:15", "'-5' is not a time", more="    cooldown: -5\n")
rule("cooldown_negative_real", "6:15", "cooldown is not a time", more="    cooldown: -0.5\n")
rule("cooldown_range", "6:15", "is out of range (0 to 86400)", more="    cooldown: 25h\n")
rule("cooldown_bool", "6:15", "cooldown is not a time", more="    cooldown: true\n")
rule("summary_field", "6:14", "has {nope}, which is no field of a process", more='    summary: "{nope}"\n')
rule("summary_brace", "6:14", "has a { without a name and a }", more='    summary: "{comm"\n')
rule("summary_empty_name", "6:14", "has a { without a name and a }", more='    summary: "{}"\n')

# Conditions.
when("when_misspelt", "{metric: rates.cpu, treshold: 5}", "4:41", "policies[0].when.treshold is not known")
when("unknown_field", "{metric: rates.gpu, threshold: 5}", "4:11", "names no field of a process: 'rates.gpu'; there are pid, ")
when("string_field", "{metric: comm, threshold: 5}", "4:11", "compares 'comm', which is no number")
when("metric_and_rate", "{metric: rates.cpu, rate: written, threshold: 5}", "4:11", "has both metric and rate")
when("over_alone", "{metric: rates.cpu, over: 5s, threshold: 5}", "4:11", "has 'over', which goes with rate only")
when("over_zero", "{rate: written, over: 0s, threshold: 5}", "4:33", "is out of range (0.001 to 86400)")
when("no_threshold", "{metric: rates.cpu}", "4:11", "policies[0].when has no threshold")
when("threshold_nan", "{metric: rates.cpu, threshold: .nan}", "4:42", "threshold is not a number")
when("threshold_inf", "{metric: rates.cpu, threshold: 1e999}", "4:42", "threshold is not a number")
when("threshold_text", "{metric: rates.cpu, threshold: high}", "4:42", "threshold is not a number")
when("threshold_quoted", '{metric: rates.cpu, threshold: "5"}', "4:42", "threshold is not a number")
when("comparison", "{metric: rates.cpu, comparison: above, threshold: 1}", "4:43", 'none of ">", ">="')
when("clear_above", "{metric: rates.cpu, threshold: 5, clear: 6}", "4:11", "has a 'clear' at which it would end")
when("clear_below", '{metric: rates.cpu, comparison: "<", threshold: 5, clear: 4}', "4:11", "has a 'clear' at which it would end")
when("all_with_siblings", "{metric: rates.cpu, threshold: 1, all: [{metric: pid, threshold: 1}]}", "4:11",
     "has 'all' and something beside it")
when("all_and_any", "{all: [{metric: pid, threshold: 1}], any: [{metric: pid, threshold: 1}]}", "4:11",
     "has 'all' and something beside it")
when("any_empty", "{any: []}", "4:17", "any is not a list of 1 to 16 items")
when("any_number", "{any: [5]}", "4:18", "policies[0].when.any[0] is not a mapping")
when("any_17", "{any: [%s]}" % ", ".join(17 * ["{metric: pid, threshold: 1}"]), "4:17", "not a list of 1 to 16 items")
when("too_many", "{all: [%s]}" % ", ".join(16 * ["{metric: pid, threshold: 1}"]), "4:453", "is one condition too many; 16 are allowed")
when("nested_for", "{any: [{metric: pid, threshold: 1, for: 5s}]}", "4:18", "has 'for', which goes with the whole only")
when("nested_deep", "{any: [{any: [{any: [{any: [{metric: pid, threshold: 1}]}]}]}]}", "4:39", "is nested deeper than 4")
when("for_bad", "{metric: pid, threshold: 1, for: soon}", "4:44", "'soon' is not a time")
when("none", "{for: 5s}", "4:11", "has none of metric, rate, all, any")

# Actions.
then("action_unknown", "[email]", "5:12", "names no action: 'email'; there are track, limit")
then("action_number", "[5]", "5:12", "is neither an action's name nor one with its options")
then("action_two_keys", "[{log: {}, track: {}}]", "5:12", "has more than one name")
then("action_empty", "[{}]", "5:12", "is neither an action's name nor one with its options")
then("action_options", "[{log: loudly}]", "5:18", "policies[0].then[0].log is not a mapping of options")
then("action_option", "[{log: {volume: 11}}]", "5:27", "policies[0].then[0].log.volume is not known")
then("action_level", "[{log: {level: loud}}]", "5:26", 'none of "debug", "info"')
then("action_kind", "[reclaim]", "5:12", "is not for a cgroup; it takes process, vm", head=HEAD.replace("process", "cgroup"))
then("limit_gate", "[reclaim]", "5:12", "needs 'policies.allow: [reclaim]'")
then("limit_none", "[limit]", "5:12", "needs one of pages, rbps, wbps, riops, wiops")
then("limit_both", "[{limit: {pages: 5, rbps: 5}}]", "5:20", "has both pages and rbps")
then("limit_size", "[{limit: {wbps: 5 parsecs}}]", "5:27", "'5 parsecs' is not a size")
then("limit_negative", "[{limit: {wbps: -1}}]", "5:27", "'-1' is not a size")
then("limit_zero", "[{limit: {wbps: 0}}]", "5:27", "out of range")
then("limit_large", "[{limit: {wbps: 9999999T}}]", "5:27", "out of range")
then("track_fast", "[{track: {every: 1ms}}]", "5:28", "is out of range (0.1 to 3600)")

# Selectors.
where("no_operator", "comm", "has none of the operators")
where("no_field", "= bash", "does not begin with a field")
where("selector_field", "color = red", "names no field of a process: 'color'")
where("no_value", "comm =", "has no value; an empty one is written")
where("open_quote", 'comm = "bash', "has a quoted value that does not end with its quote")
where("behind_quote", 'comm = "bash" x', "has a quoted value that does not end with its quote")
where("bad_regex", "comm =~ (a", "has a bad regular expression")
where("repeat_regex", "comm =~ a{1,30000}", "has {} or a back reference")
where("hidden_repeat", "comm =~ [[:alpha:][]{9999}", "has {} or a back reference")
where("back_reference", "comm =~ (a)\\1", "has {} or a back reference")
where("nested_plus", "comm =~ " + 22 * "(" + "a" + 22 * "+)", "has too many nested +")
where("number_begins", "uid ^= 5", "is about a number, which can be = or != only")
where("number_text", "uid = root", "compares a number with what is none")
where("long_value", "comm = " + 257 * "x", "longer than 256 bytes")


def json_rule(title, path, reason, **changed):
    one = {"name": "bad", "for_each": "process", "when": {"metric": "rates.cpu", "threshold": 1}, "then": ["log"]}
    one.update(changed)
    JSON_BAD.append((title, {"policies": [{key: value for key, value in one.items() if value is not None}]}, path, reason))


JSON_BAD += [
    ("empty body", b"", "", ""),
    ("no JSON", b"policies: []", "", ""),
    ("a list", b"[]", "the body", ""),
    ("twice", b'{"policies": [], "policies": []}', "", "duplicate"),
    ("large integer", b'{"policies": [{"name": "a", "for_each": "host", "then": ["log"], "when": '
                      b'{"metric": "rates", "threshold": 99999999999999999999}}]}', "", "integer"),
    ("NUL in a name", b'{"policies": [{"name": "a\\u0000b", "for_each": "host", "then": ["log"], "when": '
                      b'{"metric": "rates", "threshold": 1}}]}', "", ""),
    ("the directory's name", {"policies": [{"name": "stays", "for_each": "host", "then": ["log"], "when": {
        "metric": "rates", "threshold": 1}}]}, "policies[0].name", "is 'stays', as that of another policy from "),
]
for missing in ("name", "for_each", "when", "then"):
    json_rule(f"no {missing}", f"policies[0].{missing}", "is missing", **{missing: None})
json_rule("null", "policies[0].name", "is not a string", name=False)
json_rule("kind", "policies[0].for_each", "is none of", for_each="thread")
json_rule("when", "policies[0].when", "is not an object", when=[])
json_rule("threshold", "policies[0].when.threshold", "is not a number", when={"metric": "pid", "threshold": None})
json_rule("field", "policies[0].when", "names no field of a process", when={"metric": "x", "threshold": 1})
json_rule("clear", "policies[0].when", "has a 'clear'", when={"metric": "pid", "threshold": 1, "clear": 2})
json_rule("any", "policies[0].when.any", "is not a list of 1 to 16 items", when={"any": []})
json_rule("action", "policies[0].then[0]", "names no action", then=["email"])
json_rule("two actions", "policies[0].then[0]", "has more than one name", then=[{"log": {}, "track": {}}])
json_rule("selector", "policies[0].where[0]", "has none of the operators", where=["comm"])
json_rule("cooldown", "policies[0].cooldown", "is not a time", cooldown="10 parsecs")
json_rule("max_active", "policies[0].max_active", "is not an integer", max_active=0)
