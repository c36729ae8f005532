"""Make a small random model for vLLM: two layers of Qwen3, a byte-level tokenizer, and a chat template.

usage: make_model.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT = (
    "You compare two answers to the same question and decide which of them serves the person who asked better. "
    "The answer shown first is called A, the answer shown second is called B. Reply with a single letter. "
    "Question: What is 17 times 23? Answer A: 17 times 23 is 391. Answer B: It is 411. A tie is called C. "
    "0 1 2 3 4 5 6 7 8 9 {} [] : , critique verdict tie"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = 600


def save_tokenizer(folder: Path) -> int:
    """Train a tokenizer on a short text, save it in *folder*, and return the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415  # vLLM's environment
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415  # as above

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=4096
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    return len(fast)


def save_weights(folder: Path, vocabulary: int) -> None:
    """Draw random weights with a fixed seed and save them in *folder*."""
    import torch  # noqa: PLC0415  # vLLM's environment
    from transformers import Qwen3Config, Qwen3ForCausalLM  # noqa: PLC0415  # as above

    torch.manual_seed(7)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=0,
    )
    Qwen3ForCausalLM(config).to(torch.float32).save_pretrained(folder, safe_serialization=True)


def main(folder: Path) -> None:
    """Make the model in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(folder, save_tokenizer(folder))
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
