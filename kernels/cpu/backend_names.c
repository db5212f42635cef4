#include "kernels/backend.h"

#include <stdlib.h>
#include <string.h>

static const char *const COMPUTE_NAMES[COMPUTE_N] = {[COMPUTE_F32] = "f32",
                                                     [COMPUTE_BF16X3] = "bf16x3",
                                                     [COMPUTE_BF16] = "bf16",
                                                     [COMPUTE_TF32] = "tf32"};
static const char *const SCREEN_NAMES[SCREEN_N] = {[SCREEN_AUTO] = "auto",
                                                   [SCREEN_INT8] = "int8",
                                                   [SCREEN_BF16] = "bf16",
                                                   [SCREEN_F32] = "f32",
                                                   [SCREEN_NONE] = "none"};

const char *compute_name(enum compute compute)
{
    return (unsigned)compute < COMPUTE_N ? COMPUTE_NAMES[compute] : "?";
}

status_t compute_parse(const char *name, enum compute *out, struct error *err)
{
    for (unsigned i = 0; i < COMPUTE_N; i++) {
        if (strcmp(name, COMPUTE_NAMES[i]) != 0) continue;
        *out = (enum compute)i;
        return ST_OK;
    }
    return error_set(err, ST_BAD_INPUT, "compute '%s' is not one of f32, bf16x3, bf16, tf32", name);
}

const char *screen_name(enum screen screen)
{
    return (unsigned)screen < SCREEN_N ? SCREEN_NAMES[screen] : "?";
}

status_t screen_parse(const char *name, enum screen *out, struct error *err)
{
    for (unsigned i = 0; i < SCREEN_N; i++) {
        if (strcmp(name, SCREEN_NAMES[i]) != 0) continue;
        *out = (enum screen)i;
        return ST_OK;
    }
    return error_set(err, ST_BAD_INPUT, "screen '%s' is not one of auto, int8, bf16, f32, none",
                     name);
}

void backend_close(struct backend **backend)
{
    if (!*backend) return;
    (*backend)->ops->close(*backend);
    *backend = NULL;
}

bool backend_supports(const struct backend *backend, enum backend_feature feature)
{
    const struct backend_ops *ops = backend->ops;
    switch (feature) {
    case BACKEND_FORWARD:
        return ops->matmul && ops->embed && ops->norm && ops->add && ops->activate && ops->rotate &&
               ops->attend && ops->edit && ops->diverge;
    case BACKEND_SPARSE_ENCODE:
        return ops->prepare && ops->sparse_create && ops->sparse_encoder_create &&
               ops->sparse_encode;
    case BACKEND_HEAD_NORMS: return ops->head_norms != NULL;
    case BACKEND_BACKWARD:
        return ops->norm_backward && ops->activate_backward && ops->attend_backward && ops->blend &&
               ops->group_dots && ops->contract;
    case BACKEND_STREAMING: return ops->window_create && ops->window_take;
    case BACKEND_REPLAY: return ops->record_begin && ops->record_end && ops->replay;
    case BACKEND_DIGEST: return ops->sparse_digest && ops->digest_estimate;
    }
    return false;
}
