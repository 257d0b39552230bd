"""The bittensor package as an independent peer of our wallets and signed requests, for tests.

Reads one JSON object from standard input and writes one to standard output:

    {"do": "create", "path": DIR, "name": W, "hotkey": H}        makes an unencrypted hotkey
    {"do": "address", "path": DIR, "name": W, "hotkey": H}       reads one
    {"do": "sign", ... wallet ..., "requests": [REQUEST]}        gives the headers of each
    {"do": "verify", "receiver": ADDRESS, "requests": [REQUEST]} gives "" or the error of each

A REQUEST has method, path, body and nonce; to be verified also headers and now.
"""

import json
import sys

import bittensor
from bittensor import http_auth


def wallet(asked):
    return bittensor.Wallet(name=asked["name"], hotkey=asked["hotkey"], path=asked["path"])


def create(asked):
    made = wallet(asked).create_new_hotkey(use_password=False, suppress=True)
    return made.hotkey.ss58_address


def address(asked):
    return wallet(asked).hotkey.ss58_address


def sign(asked):
    signer = wallet(asked)
    return [
        http_auth.sign(
            signer,
            method=request["method"],
            path=request["path"],
            body=request["body"].encode(),
            receiver_ss58=asked["receiver"],
            nonce_ns=request["nonce"],
        )
        for request in asked["requests"]
    ]


def verify(asked):
    def one(request):
        try:
            http_auth.verify(
                request["headers"],
                request["body"].encode(),
                method=request["method"],
                path=request["path"],
                self_hotkey_ss58=asked["receiver"],
                now_ns=request["now"],
            )
        except http_auth.AuthError as error:
            return type(error).__name__
        return ""

    return [one(request) for request in asked["requests"]]


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    done = {"create": create, "address": address, "sign": sign, "verify": verify}
    json.dump(done[asked["do"]](asked), sys.stdout)
