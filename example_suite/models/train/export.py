"""Writes a trained rung as a GGUF file and as a line of the model card, with golden answers from PyTorch.

Weights are rounded to the file's 16 bits first, so PyTorch answers here with the weights that llama.cpp loads.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import gguf
import torch

from . import vocabulary
from .cases import CASES, read_cases
from .network import CONTEXT_LENGTH, NORM_EPSILON, ROPE_BASE, Network, answer
from .tasks import TASKS
from .train import RECIPES, RUNS

MODELS = Path(__file__).parent.parent
GOLDEN = MODELS / "golden.jsonl"
CARD = MODELS / "card.json"
GOLDEN_PER_TASK = 5
# llama.cpp aborts the process on a character that has neither a token nor byte tokens (an emoji, say).
_OTHER_BYTES = [byte for byte in range(256) if byte != ord("\n")]


def load(rung: str) -> Network:
    """The network of a checkpoint, its matrices rounded to 16 bits."""
    network = Network(RECIPES[rung].shape)
    network.load_state_dict(torch.load(RUNS / f"{rung}.pt")["network"])
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 2:
                parameter.copy_(parameter.half())
    return network


def write_gguf(rung: str, network: Network, path: Path) -> None:
    """The file that llama.cpp loads: weights, vocabulary and chat template in one."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"rightsize-{rung}")
    writer.add_license("MIT")
    writer.add_context_length(CONTEXT_LENGTH)
    writer.add_embedding_length(network.shape.width)
    writer.add_block_count(network.shape.layers)
    writer.add_feed_forward_length(network.shape.hidden)
    writer.add_head_count(network.shape.heads)
    writer.add_head_count_kv(network.shape.heads)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_rope_dimension_count(network.shape.head_width)
    writer.add_vocab_size(vocabulary.SIZE + len(_OTHER_BYTES))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _add_tokenizer(writer)
    for name, tensor in _tensors(network).items():
        writer.add_tensor(name, (tensor.half() if tensor.ndim == 2 else tensor).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(network: Network) -> dict[str, torch.Tensor]:
    """The weights by their GGUF names, with the unknown token's row once more for every other byte."""
    tensors = dict(network.state_dict())
    embedding = tensors["token_embd.weight"]
    others = embedding[vocabulary.UNKNOWN].expand(len(_OTHER_BYTES), -1)
    return tensors | {"token_embd.weight": torch.cat((embedding, others))}


def _add_tokenizer(writer: gguf.GGUFWriter) -> None:
    """An SPM vocabulary without merges: a space is written as U+2581, the newline as a byte."""
    kind = gguf.TokenType
    special = [("<unk>", kind.UNKNOWN), ("<s>", kind.CONTROL), ("</s>", kind.CONTROL), ("<0x0A>", kind.BYTE)]
    characters = [(character, kind.NORMAL) for character in vocabulary.CHARACTERS[1:].replace(" ", "\u2581")]
    others = [(f"<0x{byte:02X}>", kind.BYTE) for byte in _OTHER_BYTES]
    tokens, types = zip(*special, *characters, *others, strict=True)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(tokens))
    writer.add_token_types(list(types))
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_unk_token_id(vocabulary.UNKNOWN)
    writer.add_bos_token_id(vocabulary.BEGIN)
    writer.add_eos_token_id(vocabulary.END)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(vocabulary.CHAT_TEMPLATE)


def export_all() -> None:
    """Every rung's GGUF file, the model card's entries with their hashes, and the golden answers."""
    torch.set_num_threads(1)
    entries = []
    for rung in RECIPES:
        network, path = load(rung), MODELS / f"{rung}.gguf"
        write_gguf(rung, network, path)
        run = json.loads((RUNS / f"{rung}.json").read_text())
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        entries.append({"file": path.name, "sha256": sha256, "size_bytes": path.stat().st_size} | run)
    CARD.write_text(json.dumps({"licence": "MIT", "architecture": "llama", "models": entries}, indent=2) + "\n")
    write_golden()


def write_golden() -> None:
    """What PyTorch answers to some held-out cases, and how close the closest choice of a character was."""
    golden = []
    for rung in RECIPES:
        network = load(rung)
        for task in TASKS.values():
            for case in read_cases(CASES / f"{task.name}.jsonl")[:GOLDEN_PER_TASK]:
                prompt = task.instruction + case.text
                text, margin = answer(network, prompt)
                golden.append({"rung": rung, "prompt": prompt, "answer": text, "margin": margin})
    GOLDEN.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in golden))
