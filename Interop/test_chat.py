"""Conversations with a decoder: what it reads is what transformers' template and tokenizer make.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR, and the golden decoder in ETTIN_SHARED.
"""

import json
import os
import pathlib
import pty
import shutil
import subprocess

import pytest
from transformers import AutoTokenizer

ETTIN = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin")
MODEL = pathlib.Path(os.environ.get("ETTIN_SHARED") or "absent") / "golden/finetune/models/dec"
TEMPLATE = (
    "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}a:{% endif %}{{ suffix }}"
)
MESSAGES = [{"role": "user", "content": "to bake bread"}]

pytestmark = pytest.mark.skipif(not MODEL.is_dir(), reason="needs shared/golden")


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(MODEL, tmp_path / "model", copy_function=shutil.copyfile)
    (tmp_path / "model" / "chat_template.jinja").write_text(TEMPLATE)
    return tmp_path / "model"


def run(*arguments, **options):
    return subprocess.run([ETTIN, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


def test_messages(folder, tmp_path):
    file = tmp_path / "conversations.jsonl"
    file.write_text(json.dumps({"messages": MESSAGES}) + "\n" + json.dumps(MESSAGES) + "\n")
    result = run("generate", folder, "--messages", file, "-n", "4", "--template-arg", 'suffix="x"')
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False, suffix="x")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(lines) == 2 and lines[0] == lines[1]
    assert lines[0]["prompt"] == text and lines[0]["prompt_tokens"] == len(ids)
    assert lines[0]["message"] == {"role": "assistant", "content": lines[0]["text"]}


def test_lines_of_standard_input_are_turns(folder):
    result = run("chat", folder, "-n", "4", input="to bake bread\n")
    file = folder.parent / "c.jsonl"
    file.write_text(json.dumps(MESSAGES) + "\n")
    answer = json.loads(run("generate", folder, "-n", "4", "--messages", file).stdout)["text"]
    assert result.returncode == 0 and result.stdout == answer + "\n"


def test_terminal(folder, tmp_path):
    terminal, end = pty.openpty()
    saved = tmp_path / "saved.jsonl"
    process = subprocess.Popen([ETTIN, "chat", str(folder), "-n", "3"], stdin=end, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.write(terminal, f"/system be\nbread\n/save {saved}\n/unknown\n/exit\n".encode())
    output, errors = process.communicate(timeout=120)
    os.close(terminal), os.close(end)
    assert process.returncode == 0, errors
    messages = json.loads(saved.read_text())["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant"]
    assert messages[1]["content"] == "bread" and output.decode() == messages[2]["content"] + "\n"
    assert b'error: unknown command "/unknown"; /help lists commands' in errors


@pytest.mark.parametrize(
    "arguments, text, message",
    [
        (["chat", MODEL], "hi\n", "pass --chat-template chatml, qwen3 or a file"),
        (["generate", MODEL, "--messages", "-", "--chat-template", "chatml"], '{"messages": []}', "has no messages"),
        (["generate", MODEL, "--messages", "-", "--chat-template", "chatml"], '[{"content": "x"}]', 'message 1 has no "role"'),
        (
            ["generate", MODEL, "--messages", "-", "--chat-template", "chatml"],
            '[{"role": "user", "content": "x"}]\n{"conversations": [{"from": "user", "value": "x"}], "chat_template_kwargs": 3}',
            'standard input, line 2: "chat_template_kwargs" is a JSON number',
        ),
        (
            ["generate", MODEL, "--messages", "-", "--chat-template", "qwen3"],
            '[{"role": "user", "content": "x"}]\n{"messages": [{"role": "user", "content": "x"}], "tools": "no JSON"}',
            'standard input, line 2: "tools" is a JSON string',
        ),
        (["generate", MODEL, "--messages", "-", "--chat-template", "absent.jinja"], "[]", "absent.jinja"),
        (["chat", MODEL, "--chat-template", "chatml", "--template-arg", "x"], "hi\n", "expected key=JSON"),
        (["chat", MODEL, "--chat-template", "chatml"], "", "contains no text"),
    ],
)
def test_refusals(arguments, text, message):
    result = run(*arguments, input=text)
    assert result.returncode != 0 and message in result.stderr and result.stdout == ""
