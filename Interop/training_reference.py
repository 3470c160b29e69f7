"""Pre-training by a recipe in PyTorch: what `ettin pretrain` is compared with, step by step.

Models are those of transformers, on padded batches. Schedules, optimizers and the weighting of losses are written here
from their formulas, so that a mistake of ours would have to be made twice. What is covered is what the comparisons
need: one device, one learning rate for all, recipes as nested dictionaries.
"""

import contextlib
import math
import re

import torch
from torch.nn.functional import cross_entropy
from transformers import ModernBertDecoderForCausalLM, ModernBertForMaskedLM

CLASSES = {"encoder": ModernBertForMaskedLM, "decoder": ModernBertDecoderForCausalLM}
IGNORED = -100


def load(kind, folder, **options):
    """A folder as a model, without dropout, every parameter in float32."""
    return CLASSES[kind].from_pretrained(folder, dtype=torch.float32, **options).eval()


# --- Batches ---------------------------------------------------------------------------------------------------------


def padded(rows, value):
    length = max(map(len, rows))
    return torch.tensor([row + [value] * (length - len(row)) for row in rows])


def logits(model, sequences):
    """One row of logits for every place of the padded sequences."""
    mask = padded([[1] * len(row) for row in sequences], 0)
    return model(input_ids=padded(sequences, model.config.pad_token_id), attention_mask=mask).logits.float()


def losses(model, batch):
    """The loss at every labelled token of a microbatch, and the log of the softmax's denominator there."""
    labels = padded(batch["labels"], IGNORED)
    rows = logits(model, batch["sequences"])[labels != IGNORED]
    return cross_entropy(rows, labels[labels != IGNORED], reduction="none"), rows.logsumexp(-1)


@torch.no_grad()
def held_out(model, batches):
    """Mean loss over all labelled tokens, and the share of them that is predicted right."""
    loss, right, count = 0.0, 0, 0
    for batch in batches:
        labels = padded(batch["labels"], IGNORED)
        rows = logits(model, batch["sequences"])[labels != IGNORED]
        labels = labels[labels != IGNORED]
        loss += cross_entropy(rows, labels, reduction="sum").item()
        right += (rows.argmax(-1) == labels).sum().item()
        count += len(labels)
    return loss / count, right / count


# --- Time and learning rate ------------------------------------------------------------------------------------------


class Clock:
    """Batches, sequences and tokens so far."""

    def __init__(self):
        self.counts = {"ba": 0, "sp": 0, "tok": 0}

    def advance(self, sequences):
        self.counts["ba"] += 1
        self.counts["sp"] += len(sequences)
        self.counts["tok"] += sum(map(len, sequences))


def time(text, maximum=None):
    number, unit = re.fullmatch(r"([0-9._]+)(ba|sp|tok|dur)", text).groups()
    if unit == "dur":
        whole, unit = time(maximum)
        # Composer cuts to what can be counted.
        return int(float(number) * whole), unit
    return float(number), unit


def multiplier(scheduler, counts, maximum):
    """What a schedule makes of the base rate at a time."""
    whole, unit = time(maximum)
    now = counts[unit]
    if scheduler["name"] == "one_minus_sqrt":
        end, decay = (time(scheduler[key], maximum)[0] for key in ("t_max", "t_decay"))
        final = scheduler["alpha_f"]
        if now <= end - decay:
            return 1
        return max(final, final + (1 - final) * (1 - ((now - end + decay) / decay) ** 0.5))
    assert scheduler["name"] == "warmup_stable_decay"
    warmup, warmup_unit = time(scheduler["t_warmup"], maximum)
    decay, final = time(scheduler["t_decay"], maximum)[0], scheduler["alpha_f"]
    if counts[warmup_unit] < warmup:
        return 1e-10 + counts[warmup_unit] / warmup * (1 - 1e-10)
    if now < whole - decay:
        return 1
    return max(0, 1 - (now - whole + decay) / decay * (1 - final))


# --- Optimizers ------------------------------------------------------------------------------------------------------


def weights(model):
    """The parameters by name, those that are one matrix in training together: a decoder's projections of q, k and v."""
    result = {}
    for name, parameter in model.named_parameters():
        result.setdefault(re.sub(r"\.[qkv]_proj\.", ".Wqkv.", name), []).append(parameter)
    return result


def decays(name, tensors, settings):
    return not settings["filter_bias_norm_wd"] or (tensors[0].ndim > 1 and not name.endswith(".bias"))


class StableAdamW:
    """AdamW with debiased decays instead of debiased means, and steps cut by how surprising each tensor's gradient is.

    Decoupled, a step takes away λ·η/η₀ of a weight; otherwise λ·η.
    """

    def __init__(self, model, settings, decoupled):
        self.weights = [
            (tensors, settings["weight_decay"] if decays(name, tensors, settings) else 0.0)
            for name, tensors in weights(model).items()
        ]
        self.betas, self.epsilon = settings["betas"], settings["eps"]
        self.reference = settings["lr"] if decoupled else 1.0
        self.count = 0
        self.moments = [[(torch.zeros_like(t), torch.zeros_like(t)) for t in tensors] for tensors, _ in self.weights]

    @torch.no_grad()
    def step(self, rate):
        self.count += 1
        first, second = ((beta**self.count - beta) / (beta**self.count - 1) for beta in self.betas)
        for (tensors, decay), moments in zip(self.weights, self.moments):
            surprise = []
            for tensor, (mean, square) in zip(tensors, moments):
                mean.add_((1 - first) * (tensor.grad - mean))
                square.mul_(second).add_((1 - second) * tensor.grad**2)
                surprise.append((tensor.grad**2 / square.clamp(min=self.epsilon**2)).flatten())
            own = rate / max(1.0, torch.cat(surprise).mean().sqrt().item())
            for tensor, (mean, square) in zip(tensors, moments):
                tensor.mul_(1 - own / self.reference * decay)
                tensor.sub_(own * mean / (square.sqrt() + self.epsilon))


class AdamW:
    """PyTorch's; decoupled, its weight decay is divided by the base rate once and for all."""

    def __init__(self, model, settings, decoupled):
        decay = settings["weight_decay"] / (settings["lr"] if decoupled else 1)
        groups = {True: [], False: []}
        for name, tensors in weights(model).items():
            groups[decays(name, tensors, settings)] += tensors
        self.inner = torch.optim.AdamW(
            [dict(params=groups[True], weight_decay=decay), dict(params=groups[False], weight_decay=0)],
            lr=settings["lr"], betas=settings["betas"], eps=settings["eps"],
        )

    def step(self, rate):
        for group in self.inner.param_groups:
            group["lr"] = rate
        self.inner.step()


OPTIMIZERS = {"stableadamw": StableAdamW, "adamw": AdamW}


# --- The run ---------------------------------------------------------------------------------------------------------


class Run:
    """A model in training."""

    def __init__(self, recipe, model):
        self.recipe, self.model, self.clock = recipe, model, Clock()
        settings = recipe["optimizer"]
        name = settings["name"].removeprefix("decoupled_")
        self.optimizer = OPTIMIZERS[name](model, settings, decoupled=name != settings["name"])
        self.base = settings["lr"]
        # The rate that the optimizer has between steps; none before the first.
        self.current = None

    def follow(self, recipe, model):
        """Goes on as another phase: weights and moments stay, time and schedule begin anew."""
        model.load_state_dict(self.model.state_dict())
        self.optimizer.weights = [
            (tensors, decay) for tensors, (_, decay) in zip(weights(model).values(), self.optimizer.weights)
        ]
        self.recipe, self.model, self.clock = recipe, model, Clock()
        # The training code's restart: it keeps the base, or scales it by how far the new rate is from the last one.
        own, is_restarted = recipe["optimizer"]["lr"], recipe.get("restart_override", False)
        if recipe["rules"].get("decay_base_rate") != "literal":
            self.base = own
        elif is_restarted:
            self.base = own if recipe["scheduler"]["name"] == "warmup_stable_decay" else self.base * own / self.current
        if is_restarted:
            self.current = own

    def rate(self):
        """The rate of a step; literally the schedule is evaluated at the end of a step, before the clock goes on."""
        now = self.base * multiplier(self.recipe["scheduler"], self.clock.counts, self.recipe["max_duration"])
        if self.recipe["rules"].get("learning_rate_timing") != "literal" or self.current is None:
            self.current = now
        rate, self.current = self.current, now
        return rate

    def precision(self):
        if self.recipe["precision"] == "amp_bf16":
            return torch.autocast("cpu", dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def loss(self, batch, rows, labelled):
        """The share of a microbatch in the loss of a batch of so many sequences and labelled tokens."""
        with self.precision():
            values, logs = losses(self.model, batch)
        arguments = self.recipe["model"]["model_config"].get("loss_kwargs", {})
        values = values + arguments.get("lse_square_scale", 0) * logs**2
        if self.recipe["rules"].get("loss_weighting") == "intended":
            return values.sum() / labelled
        if len(values) == 0:
            return values.sum()
        return values.mean() * len(batch["sequences"]) / rows

    @torch.no_grad()
    def clip(self):
        """clip_grad_norm_ with a norm summed in float64: in float32 that of many gradients is up to 1e-4 off."""
        gradients = [parameter.grad for parameter in self.model.parameters()]
        norm = sum(gradient.double().square().sum() for gradient in gradients).sqrt().item()
        clipping = self.recipe.get("algorithms", {}).get("gradient_clipping", {})
        factor = min(1, clipping.get("clipping_threshold", math.inf) / (norm + 1e-6))
        for gradient in gradients:
            gradient.mul_(factor)
        return norm

    def step(self, microbatches):
        """Takes a step; the loss before it, the norm of the unclipped gradients, and the learning rate."""
        sequences = [row for batch in microbatches for row in batch["sequences"]]
        labelled = sum(label != IGNORED for batch in microbatches for row in batch["labels"] for label in row)
        self.model.zero_grad()
        total = 0.0
        for batch in microbatches:
            share = self.loss(batch, len(sequences), labelled)
            share.backward()
            total += share.item()
        norm = self.clip()
        rate = self.rate()
        self.optimizer.step(rate)
        self.clock.advance(sequences)
        return total, norm, rate
