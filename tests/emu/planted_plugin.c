/* A plugin of the right version that computes one operation wrongly: the CPU's backend with a
 * planted mistake, under the emulator's file name. INTERP_PLANTED_OP says which ("norm"; none: it
 * is right). INTERP_PLANTED_ABI=N: it says to be of that version. */
#include "kernels/plugin.h"
#include "kernels/selftest/op_report.h"
#include "tests/support/planted_backend.h"

#include <stdlib.h>
#include <string.h>

static status_t probe(size_t *n_devices, struct error *err)
{
    (void)err;
    *n_devices = 1;
    return ST_OK;
}

static status_t open_planted(struct backend **out, size_t device_index, struct error *err)
{
    const char *wanted = getenv("INTERP_PLANTED_OP");
    unsigned op = 0;
    (void)device_index;
    while (op < OP_N && (!wanted || strcmp(wanted, op_name((enum op)op)) != 0)) op++;
    return planted_backend_open(out, (enum op)op, 0.01f, err);
}

extern struct backend_plugin interp_backend_plugin;
__attribute__((visibility("default"))) struct backend_plugin interp_backend_plugin = {
    .abi_version = BACKEND_ABI_VERSION,
    .ops_bytes = sizeof(struct backend_ops),
    .name = "planted",
    .probe = probe,
    .open = open_planted,
};

/* Before anybody reads it: as a library that was built against other headers. */
__attribute__((constructor)) static void choose_version(void)
{
    const char *version = getenv("INTERP_PLANTED_ABI");
    if (version) interp_backend_plugin.abi_version = (uint32_t)strtoul(version, NULL, 10);
}
