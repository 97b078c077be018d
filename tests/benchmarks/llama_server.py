"""Starts llama-server (package xllamacpp): MODEL, tokens of context, slots, threads, and 1 for flash attention.

It prints its URL as its first line, and ends with its standard input. Each slot has cells of its own.
"""

import sys

from xllamacpp import CommonParams, Server, llama_flash_attn_type


def main() -> None:
    """Serve until standard input ends."""
    params = CommonParams()
    params.model.path = sys.argv[1]
    params.n_ctx, params.n_parallel, threads, flash = (int(number) for number in sys.argv[2:6])
    params.kv_unified = False
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    kinds = llama_flash_attn_type
    params.flash_attn_type = kinds.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else kinds.LLAMA_FLASH_ATTN_TYPE_DISABLED
    # Nothing is kept of one round for the next.
    params.cache_prompt, params.cache_ram_mib = False, 0
    server = Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
