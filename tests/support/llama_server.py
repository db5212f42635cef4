#!/usr/bin/env python3
"""A real language model behind the OpenAI protocol: llama.cpp's server on a free loopback port.

    llama_server.py MODEL.gguf [--threads N] [--parallel N]

Needs the PyPI package xllamacpp. Prints the base URL (http://127.0.0.1:PORT/v1) on the first line
and serves until it gets SIGTERM or SIGINT. `scripts/fetch-model smollm2` tells where its GGUF
file lies.
"""
import argparse
import signal
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--context", type=int, default=4096, help="tokens of one request")
    options = parser.parse_args()

    import xllamacpp
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.n_parallel = options.parallel
    params.n_ctx = options.context * options.parallel
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    server = xllamacpp.Server(params)
    print("%s/v1" % server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    sys.exit(main())
