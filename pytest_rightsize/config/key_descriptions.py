"""One sentence for each key of the ladder file: what editors show, and the reference in the documentation.

A key of a task is under `tasks.KEY`, one of the application under `app.KEY`, one of a meter under `meter.KEY`; the keys
of rungs and those that stand in no table are under their own names.
"""

from collections.abc import Mapping

__all__ = ["DESCRIPTIONS"]

DESCRIPTIONS: Mapping[str, str] = {
    # no table
    "default": "The rung of tests that run without a ladder, by its name.",
    "ladder": "The rungs: a table [ladder.NAME] for each model.",
    "tasks": "The bars of tasks: a table [tasks.NAME] for each, where its markers do not say.",
    "app": "How the calls of the application under test are answered.",
    "electricity_usd_per_kwh": "The price of electricity in USD per kWh: gives the joules of local rungs a cost.",
    "gco2_per_kwh": "Grams of CO2e per kWh of electricity: gives known joules their emissions.",
    # a rung of any provider
    "provider": "Who answers: llama_cpp (a GGUF file, in process), openai (any OpenAI-compatible endpoint), replay.",
    "model": "The model: a path, hf:ORG/REPO:QUANT or package:NAME/FILE for llama_cpp; for an endpoint its name there.",
    "params_b": "Parameters, in billions: rungs are named smallest first.",
    "active_b": "Active parameters of a mixture of experts, in billions.",
    "price": 'USD per million tokens, as in { prompt = 1.25, completion = 10.0 }; or "auto", the list price.',
    "max_in_flight": "Requests in flight at once.",
    "temperature": "The temperature of each request that names none.",
    "top_p": "top_p of each request that names none.",
    "seed": "The seed of each request that names none.",
    "max_tokens": "The most tokens of an answer, where the test names none.",
    "meter": 'How energy is measured: "auto" (default), "none", a meter, or { name = "nvml", ... }.',
    # llama_cpp
    "chat_format": "A chat format of llama-cpp-python in place of the model's own template.",
    "chat_template_kwargs": "Variables of the model's chat template, as in { enable_thinking = false }.",
    "deterministic": "One request at a time, so that an answer depends on nothing else.",
    "download": "Fetch an hf: model that is not on this machine.",
    "download_timeout_s": "Seconds without a byte after which a download is given up (default: 60).",
    "flash_attn": "Flash attention: faster with many at once; a near tie may fall the other way.",
    "n_batch": "The most tokens of one decoding step.",
    "n_ctx": "Tokens of context for each request (default: the model's own, as far as memory allows).",
    "n_gpu_layers": "Layers on the GPU; -1 is all.",
    "n_parallel": "Requests answered at once (default: 16, unless that takes too much memory).",
    "n_threads": "Threads of the processor (default: one for each core).",
    "reasoning": 'The marks around what is reasoned, as in { open = "<think>", close = "</think>" }; or true, false.',
    # openai
    "api_key_env": "The name of the variable that holds the key; a literal key is refused.",
    "api_key_header": "The header of the key, where that is not Authorization.",
    "base_url": "The address of the endpoint, up to /v1.",
    "base_url_env": "The variable that holds the address of the endpoint.",
    "extra_body": "Sent with the body of each request.",
    "headers": "Sent with each request.",
    "max_answer_mb": "The largest answer that is read, in megabytes (default 32).",
    "patience_s": "Seconds that a request waits for rate limits, in all (default 300).",
    "reasoning_effort": "Sent with each request, as in low, medium or high.",
    "retries": "How often a fault is tried again (default 4).",
    "structured_output": "How a schema is sent: json_schema, json_object, grammar or none (default: found out).",
    "timeout_s": "Seconds of one attempt (default 120).",
    # replay
    "file": 'Recorded answers, JSON Lines: {"prompt": .., "text": ..}.',
    # tasks
    "tasks.pass_rate": "The bar: the share of cases that must pass, from 0 to 1.",
    "tasks.confidence": "How surely the bar must be reached or missed, as in 0.95 (default: the observed rate counts).",
    "tasks.samples": "Trials of each case on each rung.",
    "tasks.chosen": "The rung or model that the application uses now, or the file and key, or variable, that names it.",
    "tasks.private": "Never sent to a rung that leaves this machine.",
    "tasks.max_tokens": "The most tokens of an answer.",
    "tasks.concurrent": "False: its tests start once each, one after the other.",
    "tasks.waive": 'A gate that may fail until a day: { gate = "oversized", until = 2027-01-31, reason = "..." }.',
    "tasks.requests_per_month": "How often the application asks this in a month: gives figures per month and year.",
    # app
    "app.serve": "Answer the application's own SDK calls by the rung of the test that runs.",
    "app.stands_for": "The application's names for the model under test; all names, where this is left out.",
    "app.models": 'Names that a fixed rung always answers: { "text-embedding-3" = "RUNG" }.',
    "app.ignore": "Parameters that are left out of each request.",
    # meters
    "meter.basis": "gross: all that the device took; marginal: what is above its idle power.",
    "meter.idle_s": "Seconds for which the rung is left idle to measure its idle power; 0: not at all.",
    "meter.devices": "The boards to measure, by index or UUID.",
    "meter.psys": "Measure the whole platform, where the processor tells it.",
    "meter.share": "\"process\": that part of the package which the model's process had of the processor's time.",
    "meter.watts_per_thread": "Watts of one busy thread.",
    "meter.tdp_w": "Rated watts of the processor; with threads.",
    "meter.threads": "Hardware threads of the processor; with tdp_w.",
    "meter.params_b": "Parameters of the served model, in billions; a list is a range.",
    "meter.active_b": "Active parameters of the served model, in billions; a list is a range.",
    "meter.pue": "What a data centre takes for each joule of its machines; a list is a range.",
    "meter.formula": "The formula for the energy of an answer of a served model: weights or ecologits.",
    "meter.batch": "How many requests the server answers at once on average; a list is a range.",
    "meter.accelerator": "The boards that serve the model: H100 or B200.",
    "meter.bytes_per_param": "Bytes of each parameter as served.",
    "meter.boards": "Boards that hold one copy of the model.",
    "meter.wh_per_request": "Declared watt hours of a request.",
    "meter.wh_per_token": "Declared watt hours of a token that is written.",
    "meter.j_per_token": "Declared joules of a token that is written.",
    "meter.low": "The least that the declared figure may truly be; with high.",
    "meter.high": "The most that the declared figure may truly be; with low.",
    "meter.source": "Who declares it, and where.",
    "meter.boundary": "What the figure includes.",
    "meter.url": "The page of an exporter, as in http://host:9400/metrics.",
    "meter.url_env": "The variable that holds the exporter's URL, where a password or a key is in it.",
    "meter.metric": "The name of the counter on that page.",
    "meter.labels": "The labels of the counter.",
    "meter.poll_s": "Seconds between two readings.",
    "meter.lag_s": "Seconds by which the exporter is late.",
}
