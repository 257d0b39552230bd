"""A miner and a validator that send the same requests as those of the reference network, for tests.

    legacy_client.py mine URL UID JOBS [INSPECT-FLAG...]   completes JOBS jobs
    legacy_client.py validate URL                          reads the rows with pandas, scores them

A miner polls /request_job with its uid, and answers /finish_job with accuracy in percent,
parameters in millions, MFLOPs rounded to four decimals, average watts, the GPU's name, its memory
and a version. This one does not train: it derives the accuracy from the genome and gets the counts
from `genomaster inspect`; $GENOMASTER is the path of that program. Credentials are part of the URL,
as in http://7:token@127.0.0.1:5000, and `requests` sends them by HTTP Basic.
"""

import json
import os
import subprocess
import sys
import time

import pandas
import requests

VERSION = "0.0.1"


def costs(reply, space):
    """Parameters and FLOPs of the genome, as counted by `genomaster inspect`."""
    command = [os.environ["GENOMASTER"], "inspect", "--json", *space, reply["Genome_String"]]
    network = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return network["params"], network["flops"]


def mine(url, uid, runs, space):
    done = 0
    for _ in range(600):
        if done == runs:
            return
        asked = requests.post(f"{url}/request_job", json={"user_name": uid}, timeout=30)
        if asked.status_code != 200:
            if asked.status_code in (401, 403):
                sys.exit(asked.json()["message"])
            time.sleep(0.05)
            continue
        reply = asked.json()
        bits = "".join(str(bit) for phase in reply["Genome"] for bit in phase)
        assert bits == reply["Genome_String"], reply
        config = reply["config"]
        assert config["search_space"] == "macro", config
        assert {type(config[name]) for name in ("init_channels", "layers", "epochs")} == {int}
        assert type(config["cutout"]) is bool, config
        params, flops = costs(reply, [*space, f"--init-channels={config['init_channels']}"])
        accuracy = round(70 + bits.count("1") + 0.1 * (uid % 3), 2)
        values = [accuracy, params / 1e6, round(flops / 1e6, 4), 123.4, "none", 0, VERSION]
        answer = {"user_name": uid, "genome_string": bits, "response_values": values}
        # Sent twice, like a retry after a lost response.
        for _ in range(2):
            finished = requests.post(f"{url}/finish_job", json=answer, timeout=30)
            assert finished.status_code == 200, finished.text
        done += 1
    sys.exit(f"only {done} of {runs} jobs in 600 polls")


def validate(url):
    for _ in range(600):
        answer = requests.get(f"{url}/handle_valid_request", timeout=30)
        if answer.status_code == 200:
            break
        assert answer.status_code == 503, answer.text
        time.sleep(0.05)
    frame = pandas.DataFrame(answer.json())
    assert set(frame.columns) == {"Assigned_User", "Genome_String", "Response"}, frame.columns
    assert str(frame["Assigned_User"].dtype) == "int64", frame.dtypes
    points = {}
    for _, group in frame.groupby("Genome_String"):
        rows = list(zip(group["Assigned_User"].tolist(), group["Response"].tolist()))
        for uid, mine in rows:
            agrees = any(
                other != uid and abs(mine[0] - theirs[0]) <= 1 and mine[1:3] == theirs[1:3]
                for other, theirs in rows
            )
            points[uid] = points.get(uid, 0) + int(agrees)
    print(json.dumps({"rows": len(frame), "points": points}))


if __name__ == "__main__":
    if sys.argv[1] == "validate":
        validate(sys.argv[2])
    else:
        mine(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
