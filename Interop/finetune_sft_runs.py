"""Small runs of `ettin finetune sft`, and what TRL and transformers make of the same recipe.

TRL 1.16 prepares the data and its trainer takes the steps, but for the loss: its fused head passes over the prediction head
of these decoders, so that the loss is taken from the model's own logits.
"""

import contextlib
import io
import json
import random
import warnings

import datasets
import torch
from descendants import ETTIN, checkpoint
from finetune_original import entries
from finetune_runs import Ours, texts, write
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

SHAPE = {"num_hidden_layers": 2, "global_attn_every_n_layers": 2, "spread": 0.7}
OWN = {"model_name_or_path", "train_dataset", "eval_dataset"}
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
MARKED = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{% else %}"
    "{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}")


def say(role, text):
    return {"role": role, "content": text}


def conversations(count, seed=3):
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        topic = rng.randrange(24)
        turns = []
        for _ in range(rng.randint(1, 3)):
            turns += [say("user", texts(topic, rng, rng.randint(2, 6))), say("assistant", texts(topic, rng, rng.randint(1, 24)))]
        rows.append(turns)
    return rows


class Place:
    """A folder with a small decoder and data of every kind."""

    def __init__(self, folder, tokenizer):
        self.folder = folder
        checkpoint(folder / "decoder", tokenizer, "ForCausalLM", decoder=True, seed=5, **SHAPE)
        (folder / "chatml.jinja").write_text(CHATML)
        (folder / "marked.jinja").write_text(MARKED)
        rows = conversations(60)
        write(folder / "messages.jsonl", [{"messages": row} for row in rows])
        write(folder / "held-out.jsonl", [{"messages": row} for row in conversations(11, seed=4)])
        write(folder / "conversations.jsonl", [
            {"conversations": [{"from": turn["role"], "value": turn["content"]} for turn in row]} for row in rows])
        write(folder / "text.jsonl", [{"text": row[-1]["content"]} for row in rows])
        write(folder / "completions.jsonl", [
            {"prompt": row[0]["content"] + ":", "completion": " " + row[1]["content"]} for row in rows])
        write(folder / "chat-completions.jsonl", [{"prompt": row[:-1], "completion": row[-1:]} for row in rows])

    def recipe(self, name, **changes):
        recipe = {
            "model_name_or_path": str(self.folder / "decoder"), "train_dataset": str(self.folder / "messages.jsonl"),
            "chat_template_path": str(self.folder / "chatml.jinja"), "output_dir": str(self.folder / name),
            "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 1e-3, "logging_steps": 1,
            "save_strategy": "no", "max_length": 64, "bf16": False, "gradient_checkpointing": False, "seed": 12,
        } | changes
        return {
            key: str(self.folder / value) if isinstance(value, str) and value.endswith((".jsonl", ".jinja")) else value
            for key, value in recipe.items() if value is not None}


class OurChat(Ours):
    """A finished run of ours."""

    def command(self, *flags):
        return [ETTIN, "finetune", "sft", *map(str, [self.path, *self.flags, *flags]), "--threads", "1"]


class OwnLoss(SFTTrainer):
    """TRL's trainer with the loss of the model's own head, a mean over the tokens of the update."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        inputs = {name: value for name, value in inputs.items() if name != "seq_idx"}
        labels = inputs.pop("labels")
        outputs = model(**inputs, use_cache=False)
        targets = torch.nn.functional.pad(labels, (0, 1), value=-100)[:, 1:]
        logits = outputs.logits.float()
        rows, flat = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
        losses = torch.nn.functional.cross_entropy(rows, flat, ignore_index=-100, reduction="none")
        if self.args.loss_type == "dft":
            losses = losses * (-losses).exp().detach()
        counted = flat != -100
        loss = losses.sum() / (counted.sum() if num_items_in_batch is None else num_items_in_batch)
        with torch.no_grad():
            chosen = torch.log_softmax(rows[counted], -1)
            mode = "train" if model.training else "eval"
            self._metrics[mode]["entropy"].append(-(chosen.exp() * chosen).sum(-1).mean().item())
            self._metrics[mode]["mean_token_accuracy"].append((chosen.argmax(-1) == flat[counted]).float().mean().item())
            if mode == "train":
                given = inputs.get("attention_mask")
                self._total_train_tokens += int(given.sum()) if given is not None else inputs["input_ids"].numel()
            self._metrics[mode]["num_tokens"] = [self._total_train_tokens]
        return (loss, outputs) if return_outputs else loss


def trainer(recipe, peft_config=None):
    """The original of a recipe, its data prepared."""
    chosen = {name: value for name, value in recipe.items() if name not in OWN}

    def rows(key):
        if key not in recipe:
            return None
        with open(recipe[key]) as lines:
            return datasets.Dataset.from_list([json.loads(line) for line in lines])

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.manual_seed(recipe["seed"])
        return OwnLoss(
            model=AutoModelForCausalLM.from_pretrained(recipe["model_name_or_path"], attn_implementation="eager"),
            processing_class=AutoTokenizer.from_pretrained(recipe["model_name_or_path"]),
            args=SFTConfig(use_cpu=True, disable_tqdm=True, report_to="none", **chosen),
            train_dataset=rows("train_dataset"), eval_dataset=rows("eval_dataset"), peft_config=peft_config)


class Original:
    """A finished run of the original."""

    def __init__(self, recipe):
        self.trainer = trainer(recipe)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            self.trainer.train()
        self.model = self.trainer.model.eval()
        self.state = self.trainer.state
        self.log = entries(self.state.log_history)
