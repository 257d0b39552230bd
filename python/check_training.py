"""Repeats a training of naschain in PyTorch and compares the results.

    cargo run --release --example dump_training -- trace.safetensors digits
    python check_training.py trace.safetensors

Architecture, initial weights, input batches and recipe are naschain's; PyTorch computes everything
else. The losses of the first 50 steps must agree to a relative error of 1e-3, the final accuracies
to one percentage point.
"""

import json
import math
import pathlib
import sys

import torch
from load_model import Network
from safetensors.torch import load_file
from torch.nn import functional as F

STEPS = 50
LOSS_TOLERANCE = 1e-3
# In percentage points. Rounding differences grow with the steps, so the training must converge.
ACCURACY_TOLERANCE = 2.0


def learning_rate(recipe, step, steps, steps_per_epoch):
    """Warm-up, then half a cosine from the recipe's rate to 0, step by step."""
    warmup = recipe.get("warmup_epochs", 0) * steps_per_epoch
    if step < warmup:
        return recipe["learning_rate"] * (step + 1) / warmup
    part = (step - warmup) / (steps - warmup)
    return recipe["learning_rate"] * 0.5 * (1 + math.cos(math.pi * part))


def train(network, recipe, pixels, labels):
    """Trains on naschain's input batches and returns the loss of each step."""
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe["learning_rate"],
        momentum=recipe["momentum"],
        weight_decay=recipe["weight_decay"],
        nesterov=recipe.get("nesterov", False),
    )
    batches = []
    for epoch in zip(pixels.chunk(recipe["epochs"]), labels.chunk(recipe["epochs"])):
        batches += zip(*(part.split(recipe["batch_size"]) for part in epoch))
    losses = []
    network.train()
    for step, (x, y) in enumerate(batches):
        rate = learning_rate(recipe, step, len(batches), len(batches) // recipe["epochs"])
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        smoothing = recipe.get("label_smoothing", 0.0)
        loss = F.cross_entropy(network.normalised(x), y, label_smoothing=smoothing)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), recipe["clip_norm"])
        optimizer.step()
        losses.append(loss.item())
    return losses


def accuracy(network, pixels, labels):
    network.eval()
    with torch.no_grad():
        logits = torch.cat([network.normalised(x) for x in pixels.split(250)])
    return 100.0 * (logits.argmax(dim=1) == labels).double().mean().item()


def main(file):
    torch.set_num_threads(1)
    trace = json.loads(pathlib.Path(file).with_suffix(".json").read_text())
    recipe = trace["recipe"]
    assert not recipe.get("drop_path"), "this script does not implement drop-path"
    tensors = load_file(file)
    inputs, evaluated = (
        (tensors.pop(f"{part}.pixels"), tensors.pop(f"{part}.labels").long())
        for part in ("inputs", "evaluated")
    )
    network = Network({"architecture": trace["architecture"], "normalisation": {}})
    network.load_state_dict(tensors)

    losses = train(network, recipe, *inputs)
    assert len(losses) == len(trace["losses"]) >= STEPS, f"{len(losses)} steps"
    pairs = list(zip(trace["losses"], losses))
    worst = max(abs(ours / theirs - 1) for ours, theirs in pairs[:STEPS])
    print(f"first loss {losses[0]:.6f}, loss of step {STEPS} {losses[STEPS - 1]:.6f}")
    print(f"losses of the first {STEPS} steps agree to {worst:.1e}")
    worst_of_all = max(abs(ours / theirs - 1) for ours, theirs in pairs)
    print(f"losses of all {len(losses)} steps agree to {worst_of_all:.1e}")
    theirs, ours = accuracy(network, *evaluated), trace["accuracy"]
    print(f"accuracy {ours:.2f} % in naschain, {theirs:.2f} % in PyTorch {torch.__version__}")
    if not worst <= LOSS_TOLERANCE:
        sys.exit(f"the losses differ by {worst}")
    if not abs(ours - theirs) <= ACCURACY_TOLERANCE:
        sys.exit(f"the accuracies differ by more than {ACCURACY_TOLERANCE} points")


if __name__ == "__main__":
    main(*sys.argv[1:])
