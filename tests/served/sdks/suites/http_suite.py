"""No SDK: requests, urllib, aiohttp, and other processes, by URL."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request

import aiohttp
import pytest
import requests
from conftest import HI

BODY = {"model": "x", "messages": HI}
CHILD = """
import json, os, urllib.request
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
asked = urllib.request.Request(url, os.environ["BODY"].encode(), {"Content-Type": "application/json"})
print(json.load(urllib.request.urlopen(asked))["choices"][0]["message"]["content"])
"""
NODE = """
fetch(process.env.OPENAI_BASE_URL + "/chat/completions", {method: "POST", body: process.env.BODY})
  .then(response => response.json()).then(said => console.log(said.choices[0].message.content))
"""


def url():
    return os.environ["OPENAI_BASE_URL"] + "/chat/completions"


def words(answer):
    return answer["choices"][0]["message"]["content"]


def child(model, *command):
    environment = {**os.environ, **model.env, "BODY": json.dumps(BODY)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_ask_requests(said):
    assert words(requests.post(url(), json=BODY).json()) == said("hi")


def test_ask_urllib(said):
    with urllib.request.urlopen(urllib.request.Request(url(), json.dumps(BODY).encode())) as answer:
        assert words(json.load(answer)) == said("hi")


def test_ask_child_process(model, said):
    assert child(model, sys.executable, "-c", CHILD) == said("hi")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_ask_node(model, said):
    assert child(model, "node", "-e", NODE) == said("hi")


def test_stream_requests(said):
    lines = requests.post(url(), json={**BODY, "stream": True}, stream=True).iter_lines()
    data = [line[6:] for line in lines if line.startswith(b"data: {")]
    assert "".join(json.loads(each)["choices"][0]["delta"].get("content") or "" for each in data) == said("hi")


@pytest.mark.asyncio
async def test_async_aiohttp(said):
    async with aiohttp.ClientSession() as session, session.post(url(), json=BODY) as answer:
        assert words(await answer.json()) == said("hi")
