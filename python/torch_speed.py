"""Deterministic training throughput of PyTorch in images per second, with the network and recipe of
`miner speed`.

    genomaster inspect --json ... GENOME > network.json
    python torch_speed.py network.json [--device cuda] [--batch-size 128] [--steps 4]

Prints one JSON object. Requires torch; load_model.py in this folder builds the network.
"""

import argparse
import json
import os
import time

# cuBLAS is deterministic only with a configured workspace.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch

import load_model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)

    with open(args.network) as file:
        architecture = json.load(file)
    network = load_model.Network({"architecture": architecture, "normalisation": {}})
    network = network.to(args.device).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.025, momentum=0.9, weight_decay=3e-4)
    shape = tuple(map(int, architecture["input"].split("x")))
    images = torch.randn(args.steps * args.batch_size, *shape)
    labels = torch.randint(0, architecture["classes"], (len(images),))

    def epoch():
        for first in range(0, len(images), args.batch_size):
            x = images[first : first + args.batch_size].to(args.device)
            y = labels[first : first + args.batch_size].to(args.device)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(network.normalised(x), y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            # Synchronises, like a training loop that reads its loss in every step.
            loss.item()

    epoch()
    started = time.perf_counter()
    epoch()
    seconds = time.perf_counter() - started
    on_gpu = args.device.startswith("cuda")
    report = {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(args.device) if on_gpu else args.device,
        "batch_size": args.batch_size,
        "images_per_second": round(len(images) / seconds, 1),
    }
    print(json.dumps(report))


main()
