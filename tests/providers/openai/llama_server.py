"""Starts a real llama-server (package xllamacpp) on a free loopback port: MODEL, tokens of context, slots, [MMPROJ].

It prints its URL as its first line, and ends with its standard input. The slots share one cache.
"""

import sys

from xllamacpp import CommonParams, Server


def main() -> None:
    """Serve until standard input ends."""
    params = CommonParams()
    params.model.path = sys.argv[1]
    params.n_ctx, params.n_parallel = int(sys.argv[2]), int(sys.argv[3])
    params.kv_unified = True
    if sys.argv[4:]:
        params.mmproj.path, params.mmproj_use_gpu = sys.argv[4], False
    params.hostnames, params.port = ["127.0.0.1"], 0
    # One thread: those of ggml wait for each other by spinning, which a busy machine pays for a hundredfold.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    server = Server(params)
    sys.stdout.write(f"{server.listening_address}/v1\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
