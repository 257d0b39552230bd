"""Compares exported models in eight bits with the same models in floats, in onnxruntime.

    python check_int8.py FOLDER

FOLDER contains NAME.onnx, NAME.int8.onnx, and NAME.images with the tensors `pixels` and `labels`.
A model has learned, with at least 80 % of the answers right; in eight bits it may lose 0.5 points of
accuracy, and may take 36 % of the bytes, with many small tensors, or 30 % if its name is `macro`.
"""

import pathlib
import sys

import numpy
import onnx
import onnxruntime
from safetensors.numpy import load_file

POINTS = 0.5
LEARNED = 80
SHARE = {"macro": 0.3}
OTHER_SHARE = 0.36


def accuracy(path, images):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    logits = session.run(["logits"], {"pixels": images["pixels"]})[0]
    return 100 * float(numpy.mean(logits.argmax(axis=1) == images["labels"]))


def main(folder):
    cases = sorted(pathlib.Path(folder).glob("*.images"))
    for case in cases:
        images = load_file(case)
        whole, small = case.with_suffix(".onnx"), case.with_suffix(".int8.onnx")
        before, after = accuracy(whole, images), accuracy(small, images)
        share = small.stat().st_size / whole.stat().st_size
        print(f"{case.stem}: {before:.2f} % in floats, {after:.2f} % in eight bits, {share:.1%} of {whole.stat().st_size} bytes")
        if before < LEARNED:
            sys.exit(f"{case.stem} has not learned")
        if before - after > POINTS:
            sys.exit(f"{case.stem} lost {before - after:.2f} points; at most {POINTS} are allowed")
        limit = SHARE.get(case.stem, OTHER_SHARE)
        if share > limit:
            sys.exit(f"{case.stem} takes {share:.1%} of the bytes; at most {limit:.0%} are allowed")
    print(f"{len(cases)} models")


if __name__ == "__main__":
    main(*sys.argv[1:])
