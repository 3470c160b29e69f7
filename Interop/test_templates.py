"""Chat templates, ours against jinja2 in the environment of transformers.

Needs the program ettin-probe, whose folder is named by ETTIN_BIN_DIR. Templates of the trl package are read where they
are installed.
"""

import json
import os
import pathlib
import subprocess

import jinja2
import pytest
import template_programs
import trl
from transformers.utils import chat_template_utils

PROBE = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe")
FOLDER = pathlib.Path(trl.__file__).parent / "chat_templates"
TEMPLATES = sorted(FOLDER.glob("*.jinja"))

CALL = {"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich", "days": 2}}}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "Its name"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }
]
CONVERSATIONS = {
    "one turn": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
    "system": [
        {"role": "system", "content": "Be brief, <please>."},
        {"role": "user", "content": "What is 2+2?\n"},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": " and 3+3? é日本 "},
        {"role": "assistant", "content": "<think>\nsum\n</think>\n\n6"},
    ],
    "thoughts": [
        {"role": "user", "content": "think"},
        {"role": "assistant", "content": "done", "reasoning_content": "so it is"},
        {"role": "user", "content": "more"},
        {"role": "assistant", "content": "yes", "reasoning_content": "again"},
    ],
    "tools": [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "name": "weather", "tool_call_id": "call00001", "content": "{\"sun\": true}"},
        {"role": "assistant", "content": "It is sunny."},
    ],
    "user alone": [{"role": "user", "content": "hi"}],
    "empty": [],
}


def plain(error):
    return f"{type(error).__name__}: {error}"


def original(template, variables, environment=None):
    """What jinja2 renders and the spans it marks, or nothing and its error."""
    try:
        if environment:
            return environment.from_string(template).render(**variables), [], None
        compiled = chat_template_utils._compile_jinja_template(template)
        blocks, spans = [], []
        with compiled.environment.activate_tracker(blocks, spans):
            for block in compiled.generate(**variables):
                blocks.append(block)
        return "".join(blocks), [list(span) for span in spans], None
    except Exception as error:  # whatever Python raises within a template
        return None, [], plain(error)


class Probe:
    def __enter__(self):
        self.process = subprocess.Popen([PROBE, "template"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def probe():
    with Probe() as probe:
        yield probe


def difference(answer, text, spans, error):
    if text is None:
        return None if "error" in answer else f"ours rendered {answer['text']!r}, theirs failed: {error}"
    if "error" in answer:
        return f"ours failed: {answer['error']}; theirs rendered {text!r}"
    if answer["text"] != text:
        return f"ours {answer['text']!r}\ntheirs {text!r}"
    return None if answer["spans"] == spans else f"spans {answer['spans']}, theirs {spans}"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_templates_of_trl(path, probe):
    source = path.read_text(encoding="utf-8")
    rendered = 0
    for name, messages in CONVERSATIONS.items():
        for extra in ({}, {"add_generation_prompt": True}, {"tools": TOOLS}, {"enable_thinking": False, "add_generation_prompt": True}):
            variables = {
                "messages": chat_template_utils._alias_reasoning_fields(messages),
                "tools": None, "documents": None, "add_generation_prompt": False, "bos_token": "<s>", "eos_token": "</s>",
                "pad_token": "<pad>", **extra,
            }
            text, spans, error = original(source, variables)
            rendered += text is not None
            answer = probe.ask(template=source, variables=variables)
            assert difference(answer, text, spans, error) is None, f"{name} {sorted(extra)}"
    assert rendered >= 4


@pytest.mark.parametrize("name", ["qwen3", "qwen3-training"])
def test_built_in_templates(name, probe):
    source = (FOLDER / f"{name.replace('-', '_')}.jinja").read_text(encoding="utf-8")
    for conversation, messages in CONVERSATIONS.items():
        for extra in ({}, {"add_generation_prompt": True}, {"tools": TOOLS}, {"enable_thinking": False, "add_generation_prompt": True}):
            variables = {"messages": messages, "tools": None, "add_generation_prompt": False, **extra}
            text, spans, error = original(source, variables)
            if text is None:
                continue
            answer = probe.ask(built_in=name, variables=variables)
            assert difference(answer, text, spans, error) is None, f"{conversation} {sorted(extra)}"


def compare_programs(probe, count, measured):
    rendered, failures = 0, []
    for seed in range(count):
        source, variables = template_programs.program(seed)
        text, spans, error = original(source, variables)
        if text is not None and "generator object" in text or " object at 0x" in (text or "") or "<built-in method" in (text or ""):
            continue
        rendered += text is not None
        answer = probe.ask(template=source, variables=variables)
        if found := difference(answer, text, spans, error):
            failures.append(f"program {seed}\n{source}\n{found}")
    print(f"{rendered} of {count} programs render")
    assert not failures, f"{len(failures)} of {count} differ\n\n" + "\n\n".join(failures[:5])
    assert rendered > count / 2


def test_random_programs(probe, measured):
    compare_programs(probe, 500, measured)


@pytest.mark.slow
def test_many_random_programs(probe, measured):
    compare_programs(probe, 10_000, measured)


HARNESS = [
    ("{{ doc.a }}\n{% if doc.b %}\n  yes {% endif %}\n", {"doc": {"a": "x", "b": 1}}),
    ("{{ missing }}", {}),
    ("{% if missing %}1{% endif %}", {}),
    ("{{ missing is defined }} {{ missing | default('z') }}", {}),
    ("{{ ['a', 'b'].index('b') }} {{ text.index('c') }}", {"text": "abc"}),
    ("{{ '12' | int + 1 }}", {}),
    ("{{ text | regex_replace('[0-9]+', '#') }}", {"text": "a1b22c"}),
    ("{{ text | regex_replace('(\\\\w)-(\\\\w)', '\\\\2\\\\1', 1) }}", {"text": "a-b c-d"}),
    ("{{ text | regex_replace('\\\\[.*?\\\\]', '') }}", {"text": "x [title] y [step]"}),
    ("{{ d | tojson }}", {"d": {"b": "<é>", "a": 1}}),
    ("{{ choices[answer] }} {{ choices[['A', 'B'].index(letter)] }}", {"choices": ["p", "q"], "answer": 1, "letter": "A"}),
    ("{% set x = doc.question.strip() %}{{ x }}\nAnswer:", {"doc": {"question": " q\n"}}),
    ("{{ doc.nothing }}", {"doc": {}}),
]


@pytest.mark.parametrize("source, variables", HARNESS, ids=[str(index) for index in range(len(HARNESS))])
def test_environment_of_the_evaluation_harness(source, variables, probe):
    import re

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.filters["regex_replace"] = lambda text, pattern, repl, count=0: re.compile(pattern).sub(repl, text, count=count)
    text, spans, error = original(source, variables, environment)
    answer = probe.ask(template=source, variables=variables, environment="evaluation_harness")
    assert difference(answer, text, spans, error) is None
