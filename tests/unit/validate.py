# SPDX-License-Identifier: BSD-2-Clause
"""Validates answers against api/openapi.json, and shows that the schemas are tight.

Reads one JSON object a line, {"path", "answer"}: path as openapi.json has it, or "error". Every
answer must be valid; and it must not be once a field of any object in it is missing or added.
"""

import copy
import json
import sys

from jsonschema import Draft202012Validator

with open("api/openapi.json", encoding="utf-8") as file:
    API = json.load(file)


def validator(path):
    if path == "error":
        schema = {"$ref": "#/components/schemas/Error"}
    else:
        responses = API["paths"][path]["get"]["responses"]
        schema = responses["200"]["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": API["components"]})


def objects(value, path=()):
    if isinstance(value, dict):
        yield path
    pairs = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in pairs:
        yield from objects(inner, (*path, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def main():
    failed = 0
    for name, schema in API["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
    for line in sys.stdin:
        case = json.loads(line)
        check = validator(case["path"])
        for error in check.iter_errors(case["answer"]):
            print(f"{case['path']}: {list(error.absolute_path)}: {error.message}", file=sys.stderr)
            failed += 1
        for path in objects(case["answer"]):
            if path and path[-1] == "series":
                continue  # its names are the processes and devices of the moment
            for key in [*at(case["answer"], path), None]:
                wrong = copy.deepcopy(case["answer"])
                if key is None:
                    at(wrong, path)["bogus"] = 1
                else:
                    del at(wrong, path)[key]
                if check.is_valid(wrong):
                    print(f"{case['path']}: {path} {key}: the schema takes a wrong answer", file=sys.stderr)
                    failed += 1
    return 1 if failed else 0


sys.exit(main())
