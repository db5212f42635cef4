/* `interp-worker activations MODEL --hook NAME... [--dictionary D] (--text FILE |
 * --tokens FILE.jsonl) -o OUT.safetensors`: activations of a text, as float32 tensors.
 *
 * OUT holds, with rows padded by zeros to the longest:
 *   tokens       I64 [n_rows, n_ctx]            row_lengths  I64 [n_rows]
 *   HOOK NAME    F32 [n_rows, n_ctx, width]     heads (q, k, v, z): [.., n_heads, d_head]
 *   feature_acts F32 [n_rows, n_ctx, n_features]  with --dictionary, at the dictionary's hook
 * --text takes one document from a file and cuts it into rows of at most --ctx tokens; --tokens
 * takes one {"tokens": [ids]} a line. Memory does not grow with the input beyond its tokens: rows
 * are run in batches and streamed out. Needs neither coordinator nor Redis. */
#ifndef WORKER_ACTIVATIONS_COMMAND_H
#define WORKER_ACTIVATIONS_COMMAND_H

/* Run with argv[0] the subcommand's name; returns the exit code. */
int activations_command(int argc, char **argv);

#endif
