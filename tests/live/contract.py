# SPDX-License-Identifier: BSD-2-Clause
"""openapi.json, as what every answer is held against."""
import re

import jsonschema

from harness import true


class Contract:
    """openapi.json as a validator."""

    def __init__(self, agent):
        self.document = self.convert(agent.json("/api/v1/openapi.json"))
        self.resolver = jsonschema.RefResolver("", self.document)

    def convert(self, node):
        """OpenAPI 3.0 says nullable where JSON Schema says null."""
        if isinstance(node, list):
            return [self.convert(item) for item in node]
        if not isinstance(node, dict):
            return node
        node = {key: self.convert(value) for key, value in node.items()}
        if node.pop("nullable", None) is True:
            return {"anyOf": [node, {"type": "null"}]}
        return node

    def operation(self, path, method):
        """The operation of a concrete path."""
        for template, item in self.document["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in item:
                return item[method.lower()]
        raise AssertionError(f"openapi.json does not describe {method} {path}")

    def validate(self, target, answer, method="GET"):
        operation = self.operation(target.partition("?")[0], method)
        responses = operation["responses"]
        response = responses.get(str(answer.status)) or responses.get("default")
        true(response, f"openapi.json has no {answer.status} for {target}")
        while "$ref" in response:
            response = self.resolver.resolve(response["$ref"])[1]
        kind = answer.headers.get("content-type", "").split(";")[0]
        content = response.get("content", {})
        true(kind in content, f"{target} answers {answer.status} as {kind!r}, not {list(content)}")
        if kind == "application/json":
            validator = jsonschema.Draft202012Validator(content[kind]["schema"],
                                                        resolver=self.resolver)
            errors = sorted(validator.iter_errors(answer.json()), key=str)
            true(not errors, f"{target}: " + "; ".join(
                f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
                for error in errors[:3]))
