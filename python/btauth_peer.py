"""Wallets and signed requests by the bittensor package, to test ours against.

Reads one JSON object from standard input and writes one to standard output:

    {"do": "create", "path": DIR, "name": W, "hotkey": H}        creates an unencrypted hotkey
    {"do": "address", "path": DIR, "name": W, "hotkey": H}       reads its address
    {"do": "sign", ... wallet ..., "requests": [REQUEST]}        returns the headers of each
    {"do": "verify", "receiver": ADDRESS, "requests": [REQUEST]} returns "" or the error of each

A REQUEST has method, path, body and nonce; for verification also headers and now.
"""

import json
import sys

import bittensor
from bittensor import http_auth


def wallet(command):
    return bittensor.Wallet(name=command["name"], hotkey=command["hotkey"], path=command["path"])


def create(command):
    made = wallet(command).create_new_hotkey(use_password=False, suppress=True)
    return made.hotkey.ss58_address


def address(command):
    return wallet(command).hotkey.ss58_address


def sign(command):
    signer = wallet(command)
    return [
        http_auth.sign(
            signer,
            method=request["method"],
            path=request["path"],
            body=request["body"].encode(),
            receiver_ss58=command["receiver"],
            nonce_ns=request["nonce"],
        )
        for request in command["requests"]
    ]


def verify(command):
    def one(request):
        try:
            http_auth.verify(
                request["headers"],
                request["body"].encode(),
                method=request["method"],
                path=request["path"],
                self_hotkey_ss58=command["receiver"],
                now_ns=request["now"],
            )
        except http_auth.AuthError as error:
            return type(error).__name__
        return ""

    return [one(request) for request in command["requests"]]


if __name__ == "__main__":
    command = json.load(sys.stdin)
    done = {"create": create, "address": address, "sign": sign, "verify": verify}
    json.dump(done[command["do"]](command), sys.stdout)
