"""Extractive question answering and multiple choice, through `ettin answer` and `ettin choose`.

transformers 5 has the models, but no longer the pipeline for questions; `Answerer` follows the one of transformers 4, apart
from white space at the ends of answers.
Needs the program ettin, whose folder is named by ETTIN_BIN_DIR.
"""

import numpy
import pytest
import torch
from descendants import CONTEXT, DOCUMENTS, checkpoint, close, json_lines, kind, lines
from transformers import AutoModelForMultipleChoice, AutoModelForQuestionAnswering, AutoTokenizer

NAME = "descendants: answers, largest difference"
QUESTIONS = [
    ("What is the capital of France?", DOCUMENTS[0]), ("Where was the ship lost?", DOCUMENTS[2]),
    ("Who did not want to be found?", DOCUMENTS[4]), ("What do rerankers do?", DOCUMENTS[5]),
]


class Answerer:
    """Spans by the product of their ends' probabilities, which are taken over the tokens of the context."""

    def __init__(self, folder):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()

    def windows(self, question, context, stride):
        options = {} if stride is None else {"stride": stride, "return_overflowing_tokens": True}
        encoding = self.tokenizer(
            question, context, truncation="only_second", max_length=CONTEXT, return_offsets_mapping=True, **options)
        many = stride is not None
        for index, ids in enumerate(encoding["input_ids"] if many else [encoding["input_ids"]]):
            offsets = encoding["offset_mapping"][index] if many else encoding["offset_mapping"]
            inside = numpy.array([sequence == 1 for sequence in encoding.sequence_ids(index)])
            with torch.no_grad():
                output = self.model(torch.tensor([ids]))
            yield inside, offsets, output.start_logits[0].double().numpy(), output.end_logits[0].double().numpy()

    def spans(self, question, context, longest=15, stride=None, impossible=False):
        """Every span with its score and characters, best first; and the score of the empty answer."""
        found, null = [], 1e6
        for inside, offsets, start, end in self.windows(question, context, stride):
            allowed = inside.copy()
            allowed[0] = True  # [CLS] takes part in the probabilities, as the place of the empty answer.
            start, end = [self.probabilities(logits, allowed) for logits in (start, end)]
            null = min(null, start[0] * end[0])
            for first in numpy.flatnonzero(inside):
                for last in range(first, min(first + longest, len(inside))):
                    text = context[offsets[first][0]:offsets[last][1]]
                    if inside[last] and text.strip():
                        place = offsets[first][0] + len(text) - len(text.lstrip())
                        found.append((start[first] * end[last], place, place + len(text.strip())))
        if impossible:
            found.append((null, 0, 0))
        return sorted(found, reverse=True)

    @staticmethod
    def probabilities(logits, allowed):
        values = numpy.where(allowed, numpy.exp(logits - logits[allowed].max()), 0)
        return values / values.sum()


@pytest.fixture(scope="module")
def folder(small_tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("answer") / "made"
    checkpoint(folder, small_tokenizer, "ForQuestionAnswering", spread=1.5)
    return folder


def test_best_answers(folder, measured):
    answerer = Answerer(folder)
    assert kind(folder) == "question-answering"
    for question, context in QUESTIONS:
        for flags, options in [
            ([], {}), (["--max-answer-length", 4], {"longest": 4}), (["--handle-impossible-answer"], {"impossible": True})
        ]:
            [ours] = lines("answer", folder, "--question", question, "--context", context, *flags, "--json")
            score, start, end = answerer.spans(question, context, **options)[0]
            measured(NAME, close([ours["score"]], [score]))
            # Spans of nearly the same score may change places.
            same = [s for s in answerer.spans(question, context, **options) if abs(s[0] - score) < 1e-6]
            assert (ours["start"], ours["end"]) in [s[1:] for s in same]
            assert ours["answer"] == context[ours["start"]:ours["end"]]


def test_windows_with_a_stride(folder, measured):
    answerer = Answerer(folder)
    question, context = "Who had sent it?", " ".join(DOCUMENTS[:5]) * 3
    assert len(answerer.tokenizer(question, context)["input_ids"]) > 2 * CONTEXT
    [ours] = lines("answer", folder, "--question", question, "--context", context, "--stride", 32, "--json")
    measured(NAME, close([ours["score"]], [answerer.spans(question, context, stride=32)[0][0]]))


def test_files_and_several_answers(folder, tmp_path, measured):
    path = json_lines(tmp_path / "q.jsonl", [{"question": q, "context": c} for q, c in QUESTIONS])
    rows = lines("answer", folder, "--input", path, "--top-k", 3, "--json")
    for (question, context), row in zip(QUESTIONS, rows, strict=True):
        assert len(row) == 3 and row[0]["score"] >= row[1]["score"] >= row[2]["score"]
        known = {(start, end): score for score, start, end in reversed(Answerer(folder).spans(question, context))}
        for answer in row:
            measured(NAME, close([answer["score"]], [known[answer["start"], answer["end"]]]))


def test_choices(small_tokenizer, tmp_path, measured):
    folder = tmp_path / "made"
    checkpoint(folder, small_tokenizer, "ForMultipleChoice")
    model, tokenizer = AutoModelForMultipleChoice.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    assert kind(folder) == "multiple-choice"
    tasks = [("The cat sat on", ["the mat.", "the capital of France.", "a dog, which it did not like."]),
             ("The ship", ["lay still.", "sings"])]
    path = json_lines(tmp_path / "c.jsonl", [{"prompt": prompt, "choices": choices} for prompt, choices in tasks])
    for (prompt, choices), row in zip(tasks, lines("choose", folder, "--input", path, "--json"), strict=True):
        features = tokenizer([prompt] * len(choices), choices, padding=True, return_tensors="pt")
        with torch.no_grad():
            logits = model(**{name: value.unsqueeze(0) for name, value in features.items()}).logits[0]
        assert row["choice"] == int(logits.argmax())
        measured(NAME, close(row["scores"], logits.softmax(-1)))
        [alone] = lines("choose", folder, prompt, *choices, "--json")
        assert alone["choice"] == row["choice"]
