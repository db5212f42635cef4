/* Every slot of struct backend_ops, so that none is forgotten: operations with parameters and an
 * exec, each tested by a function op_case_NAME(), and the rest, which those cases use on their way.
 *
 * A slot that is added to backend.h fails the assertion below until it is listed here. Listed as an
 * operation, it fails to link until kernels/selftest/op_*.c has its case, and to compile until
 * op_tolerance.c has its line. */
#ifndef KERNELS_SELFTEST_OP_SLOTS_H
#define KERNELS_SELFTEST_OP_SLOTS_H

#include "kernels/backend.h"

#define OP_SLOTS(X)                                                                                \
    X(copy)                                                                                        \
    X(matmul)                                                                                      \
    X(embed)                                                                                       \
    X(norm)                                                                                        \
    X(add)                                                                                         \
    X(activate)                                                                                    \
    X(rotate)                                                                                      \
    X(attend)                                                                                      \
    X(head_norms)                                                                                  \
    X(edit)                                                                                        \
    X(diverge)                                                                                     \
    X(norm_backward)                                                                               \
    X(activate_backward)                                                                           \
    X(attend_backward)                                                                             \
    X(blend)                                                                                       \
    X(group_dots)                                                                                  \
    X(contract)                                                                                    \
    X(prepare)                                                                                     \
    X(sparse_encode)                                                                               \
    X(sparse_tally)                                                                                \
    X(sparse_digest)

#define OP_OTHER_SLOTS(X)                                                                          \
    X(describe)                                                                                    \
    X(place)                                                                                       \
    X(memory)                                                                                      \
    X(limit_memory)                                                                                \
    X(is_lost)                                                                                     \
    X(close)                                                                                       \
    X(alloc)                                                                                       \
    X(release)                                                                                     \
    X(packed_create)                                                                               \
    X(packed_destroy)                                                                              \
    X(packed_bytes)                                                                                \
    X(packed_estimate)                                                                             \
    X(exec_bytes)                                                                                  \
    X(diverge_estimate)                                                                            \
    X(scratch_estimate)                                                                            \
    X(exec_create)                                                                                 \
    X(exec_destroy)                                                                                \
    X(upload)                                                                                      \
    X(download)                                                                                    \
    X(synchronize)                                                                                 \
    X(record_begin)                                                                                \
    X(record_end)                                                                                  \
    X(replay)                                                                                      \
    X(recording_destroy)                                                                           \
    X(sparse_create)                                                                               \
    X(sparse_destroy)                                                                              \
    X(sparse_bytes)                                                                                \
    X(sparse_estimate)                                                                             \
    X(sparse_encoder_create)                                                                       \
    X(sparse_encoder_destroy)                                                                      \
    X(sparse_stats)                                                                                \
    X(digest_estimate)                                                                             \
    X(window_create)                                                                               \
    X(window_destroy)                                                                              \
    X(window_take)

#define OP_SLOT_ENUM(name) OP_##name,
enum op { OP_SLOTS(OP_SLOT_ENUM) OP_N };

#define OP_SLOT_BYTES(name) +sizeof(((struct backend_ops *)0)->name)
_Static_assert(sizeof(struct backend_ops) == offsetof(struct backend_ops, describe)
                                                 OP_SLOTS(OP_SLOT_BYTES)
                                                     OP_OTHER_SLOTS(OP_SLOT_BYTES),
               "a slot of backend.h is in neither list of kernels/selftest/op_slots.h");

#endif
