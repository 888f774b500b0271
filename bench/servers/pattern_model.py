"""Writes the pattern model as a Qwen3 checkpoint: `python -m bench.servers.pattern_model DIR`.

A model whose weights say which token follows which, and nothing else: attention and the inner layers
add nothing, the embedding of a token points at the row of its follower. No training, no download. It runs
in the environment of the server, which has the libraries, so it imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from bench.servers.pattern import ANSWER, chain, pieces

WIDTH, HEADS, HEAD, INNER, LAYERS = 256, 2, 64, 128, 2
SURE = 40.0  # the logit of the follower; of every other token it is about 0 +- 1.6
START, END = "<|im_start|>", "<|im_end|>"
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\\n' + (message.content or '') }}"
    "{%- if not loop.last or add_generation_prompt -%}{{ '<|im_end|>\\n' }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and not enable_thinking -%}{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif -%}"
    "{%- endif -%}"
)


def tokenizer() -> Tokenizer:
    """Bytes for whatever is asked, one token for each word of the pattern."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(BPE({letter: place for place, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(text, special=True) for text in (START, END)])
    made.add_tokens([AddedToken(text, normalized=False, special=False) for text in chain()])
    return made


def weights(words: Tokenizer) -> dict[str, np.ndarray]:
    """The tensors of a Qwen3 in which every token is followed by the next of the pattern."""
    chance = np.random.default_rng(1)
    size = words.get_vocab_size()
    said = [words.token_to_id(token) for token in chain()]
    points = chance.normal(size=(size, WIDTH))
    points /= np.sqrt((points**2).mean(1, keepdims=True))
    spelled = [token for token in range(size) if token not in said]
    points[spelled] = points[spelled[0]]  # whatever was asked, the model begins to think
    head = np.random.default_rng(2).normal(size=(size, WIDTH)) / 10
    follower = dict(zip(said, [*said[1:], words.token_to_id(END)], strict=True))
    for token, after in [(spelled[0], said[0]), *follower.items()]:
        head[after] += SURE * points[token] / WIDTH
    # Where it may not end it says its answer again.
    head[words.token_to_id(pieces(ANSWER)[0])] += 0.7 * SURE * points[said[-1]] / WIDTH
    zero, one = np.zeros, np.ones
    tensors = {"model.embed_tokens.weight": points, "lm_head.weight": head, "model.norm.weight": one(WIDTH)}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}"
        tensors |= {
            f"{name}.input_layernorm.weight": one(WIDTH),
            f"{name}.post_attention_layernorm.weight": one(WIDTH),
            f"{name}.self_attn.q_norm.weight": one(HEAD),
            f"{name}.self_attn.k_norm.weight": one(HEAD),
            f"{name}.self_attn.o_proj.weight": zero((WIDTH, HEADS * HEAD)),
            f"{name}.mlp.gate_proj.weight": zero((INNER, WIDTH)),
            f"{name}.mlp.up_proj.weight": zero((INNER, WIDTH)),
            f"{name}.mlp.down_proj.weight": zero((WIDTH, INNER)),
        }
        for part in "qkv":
            tensors[f"{name}.self_attn.{part}_proj.weight"] = zero((HEADS * HEAD, WIDTH))
    return {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()}


def configs(words: Tokenizer) -> dict[str, dict[str, object]]:
    """The JSON files beside the weights."""
    end = words.token_to_id(END)
    model = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": HEAD,
        "vocab_size": words.get_vocab_size(),
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
        "rms_norm_eps": 1e-6,
        "torch_dtype": "float32",
        "eos_token_id": end,
    }
    spoken = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": END,
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 2048,
    }
    drawn = {"eos_token_id": end, "temperature": 1.0}
    return {"config.json": model, "tokenizer_config.json": spoken, "generation_config.json": drawn}


def write(folder: Path) -> None:
    """The whole checkpoint into a folder."""
    said = chain()
    if len(set(said)) != len(said):
        raise ValueError(f"said twice: {[token for token in said if said.count(token) > 1]}")
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer()
    words.save(str(folder / "tokenizer.json"))
    for name, content in configs(words).items():
        (folder / name).write_text(json.dumps(content, indent=1), "utf-8")
    save_file(weights(words), str(folder / "model.safetensors"), metadata={"format": "pt"})


if __name__ == "__main__":
    write(Path(sys.argv[1]))
