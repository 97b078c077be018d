"""Writes tickets of a shop, and a classifier of them that is trained here: a row of weights for each word it knows.

    python -m studies.specialists.tickets

The classifier learns from its own sentences (`_LEARNED`); the tickets of the test (`_TESTED`) are others, written apart
from them. `data/` gets the tickets, the model as ONNX and its tokenizer.
"""

import json
import random
import re
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["QUEUES", "trained", "words_of"]

DATA = Path(__file__).parent / "data"
QUEUES = ("account", "billing", "returns", "shipping", "technical")
SEED, STEPS, RATE, DECAY = 2026, 400, 2.0, 1e-3
_UNKNOWN = "[UNK]"

# What the classifier learns from: each ending with each beginning.
_BEGINNINGS = ("", "Hello,", "Good morning,", "I have a question:", "Please help,", "Second message:")
_LEARNED = {
    "account": [
        "I forgot my password and cannot log in",
        "the link to reset my password never comes",
        "how do I change the email address of my profile",
        "please delete my account and all my data",
        "my login is locked after three attempts",
        "I want to sign up but the name is already taken",
        "two step verification does not accept my code at sign in",
        "somebody else has logged in to my profile",
        "how can I update my user name",
        "I registered twice, please merge both accounts",
    ],
    "billing": [
        "I was charged twice for one order",
        "the amount on my invoice is wrong",
        "my credit card was declined at payment",
        "please send a receipt with the tax number",
        "why did the price of the subscription go up",
        "there is an unknown charge on my bank statement",
        "the discount code was not taken off the bill",
        "can I pay by bank transfer instead of card",
        "the invoice has the wrong company name",
        "cancel my subscription and stop the monthly payment",
    ],
    "returns": [
        "I want to send the shoes back, they are too small",
        "how do I return an item and get my money back",
        "the refund for my returned jacket has not come",
        "the shirt has a hole, I would like an exchange",
        "which label do I use for the return",
        "I changed my mind and want to give it back",
        "can I swap the dress for a larger size",
        "the glass was broken when I opened the box, please replace it",
        "how many days do I have to return something",
        "I received the wrong colour and want to exchange it",
    ],
    "shipping": [
        "where is my parcel",
        "the tracking number has not moved for days",
        "the delivery is a week late",
        "the courier left the package with a neighbour",
        "can I change the delivery address before it is sent",
        "do you deliver to Norway and how long does it take",
        "it says delivered but nothing arrived",
        "when will my order be shipped",
        "only half of the parcel arrived",
        "I need express delivery by Friday",
    ],
    "technical": [
        "the app crashes when I open it",
        "the website shows a blank page in my browser",
        "the search button does nothing",
        "I get error 500 when I upload a photo",
        "the app does not work since the update",
        "pictures do not load on my phone",
        "the page is very slow and freezes",
        "notifications stopped after I installed the new version",
        "the video has no sound on my tablet",
        "your site says the connection is not secure",
    ],
}
_TESTED = {
    "account": [
        "My password is not accepted any more and I cannot log in.",
        "Please remove my profile and delete everything you know about me.",
        "The code for verification never arrives when I sign in.",
        "I would like to use another email for my login.",
        "My account is locked, what can I do?",
        "How do I reset the password of my account?",
        "Somebody changed the name on my profile.",
        "I cannot sign up with my email address.",
    ],
    "billing": [
        "My card was charged twice this month.",
        "The invoice shows a price that I did not agree to.",
        "I need a receipt for my tax office.",
        "Why was the discount not used on my bill?",
        "Your payment page declined my credit card.",
        "There is a charge from you on my statement that I do not know.",
        "How can I cancel the subscription? The monthly amount is too high.",
        "Can the invoice be made out to my company?",
    ],
    "returns": [
        "The trousers are too small and I want to return them.",
        "When do I get the refund for the jacket that I sent back?",
        "Could I exchange the shirt for a larger size?",
        "The cup was broken, please replace it.",
        "How many days may I keep an item before I give it back?",
        "You sent the wrong colour, how do I swap it?",
        "I cannot find the label for my return.",
        "I changed my mind about the dress, where do I send it back?",
    ],
    "shipping": [
        "My parcel has still not arrived.",
        "The tracking page says delivered, but I have no package.",
        "How long does delivery to Sweden take?",
        "When is my order going to be sent?",
        "The courier never came, where is the parcel now?",
        "The delivery address is wrong, can you change it?",
        "My order is late by ten days.",
        "Is express delivery possible before Friday?",
    ],
    "technical": [
        "The app crashes after the update.",
        "Your website is blank in my browser.",
        "I see an error when I upload pictures.",
        "The button for search does not work.",
        "The page freezes on my phone.",
        "The new version is very slow.",
        "Videos do not load on the tablet.",
        "The app shows error 404 when I open it.",
    ],
}


def words_of(text: str) -> list[str]:
    """The words as the tokenizer parts them."""
    return re.findall(r"[a-z0-9]+", text.lower())


def trained() -> tuple[list[str], Any]:
    """The words, the unknown one first, and a row of five weights for each: softmax regression on the mean of rows."""
    texts = [(f"{start} {text}", queue) for queue in QUEUES for start, text in product(_BEGINNINGS, _LEARNED[queue])]
    counts = Counter(word for text, _ in texts for word in words_of(text))
    words = [_UNKNOWN, *sorted(counts)]
    place = {word: number for number, word in enumerate(words)}
    features = np.zeros((len(texts), len(words)))
    for row, (text, _) in enumerate(texts):
        for word in words_of(text):
            features[row, place[word]] += 1 / len(words_of(text))
    wanted = np.array([[queue == each for each in QUEUES] for _, queue in texts], dtype=float)
    weights = np.zeros((len(words), len(QUEUES)))
    for _ in range(STEPS):
        scores = np.exp(features @ weights)
        error = scores / scores.sum(axis=1, keepdims=True) - wanted
        weights -= RATE * (features.T @ error / len(texts) * len(QUEUES) + DECAY * weights)
    return words, weights.astype(np.float32)


def write_model(words: list[str], weights: Any, folder: Path) -> None:
    """Write `tickets.onnx`, which takes the mean of the rows of a ticket's words, and `tokenizer.json`."""
    import onnx
    import tokenizers

    level = tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, unk_token=_UNKNOWN)
    tokenizer = tokenizers.Tokenizer(level)
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    apart = tokenizers.Regex(r"[a-z0-9]+")
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split(apart, "removed", invert=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    helper = onnx.helper
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["weights", "input_ids"], ["each"]),
            helper.make_node("ReduceMean", ["each"], ["out"], axes=[1], keepdims=0),
        ],
        "tickets",
        [helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, [1, "tokens"])],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [1, len(QUEUES)])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(folder / "tickets.onnx"))


def main() -> None:
    """Write the tickets, the model and its tokenizer."""
    tickets = [{"text": text, "queue": queue} for queue, texts in _TESTED.items() for text in texts]
    random.Random(SEED).shuffle(tickets)
    (DATA / "tickets.json").write_text(json.dumps(tickets, indent=1) + "\n", encoding="utf-8")
    words, weights = trained()
    write_model(words, weights, DATA)
    place = {word: number for number, word in enumerate(words)}
    right = 0
    for ticket in tickets:
        rows = [weights[place.get(word, 0)] for word in words_of(ticket["text"])]
        right += QUEUES[int(np.mean(rows, axis=0).argmax())] == ticket["queue"]
    print(f"{weights.size:,} parameters, {right} of {len(tickets)} tickets right")


if __name__ == "__main__":
    main()
