"""Compares exported models with another program's results.

    python check_export.py onnxruntime|torch FOLDER

FOLDER contains NAME.safetensors, NAME.onnx, and NAME.logits with the tensors `pixels` and `logits`,
as computed by naschain. All logits must agree to 1e-4.
"""

import pathlib
import sys

import numpy
from safetensors.numpy import load_file

TOLERANCE = 1e-4


def onnxruntime_logits(stem, pixels):
    import onnx
    import onnxruntime

    onnx.checker.check_model(onnx.load(f"{stem}.onnx"), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{stem}.onnx", options, ["CPUExecutionProvider"])
    return session.run(["logits"], {"pixels": pixels})[0]


def torch_logits(stem, pixels):
    import torch
    from load_model import load

    network, _ = load(f"{stem}.safetensors")
    with torch.no_grad():
        return network(torch.from_numpy(pixels)).numpy()


def main(peer, folder):
    logits_of = {"onnxruntime": onnxruntime_logits, "torch": torch_logits}[peer]
    worst, images, cases = 0.0, 0, sorted(pathlib.Path(folder).glob("*.logits"))
    for case in cases:
        ours = load_file(case)
        theirs = logits_of(case.with_suffix(""), ours["pixels"])
        assert theirs.shape == ours["logits"].shape, f"{case}: {theirs.shape}"
        difference = float(numpy.abs(theirs - ours["logits"]).max())
        spread = float(theirs.std(axis=0).max())
        print(f"{case.stem}: logits spread by {spread:.3f}, largest difference {difference:.2e}")
        assert spread > 1e-3, f"{case}: all images have the same logits; the test is void"
        if not difference <= TOLERANCE:
            sys.exit(f"{case.stem}: {peer} differs by {difference}")
        worst, images = max(worst, difference), images + len(theirs)
    print(f"{len(cases)} models, {images} images, largest difference {worst:.2e} from {peer}")


if __name__ == "__main__":
    main(*sys.argv[1:])
