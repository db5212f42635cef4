/* Keeps this process on the processors beside its device, so that pinned buffers and weights on
 * their way to it lie in the memory of that NUMA node: a page goes to the node of who touches
 * it first. Whoever leaves the device gives the place back: the CPU's own work wants all
 * processors. */
#ifndef WORKER_NUMA_PLACE_H
#define WORKER_NUMA_PLACE_H

#include "common/error.h"

enum { NUMA_UNKNOWN = -1, NUMA_SET_BYTES = 128 };

/* Where a thread is, and where it was. */
struct numa_place {
    int node;                             /* that it was moved to; NUMA_UNKNOWN: it was not */
    unsigned char before[NUMA_SET_BYTES]; /* its processors before that, a cpu_set_t */
};

/* The node of the PCI device "0000:3b:00.0" by <sysfs>/bus/pci/devices, and the calling thread
 * (and whoever it makes) onto that node's processors. The node is NUMA_UNKNOWN, and nothing is
 * changed, where sysfs names no node. Errors: ST_CORRUPT (a list of processors that is none),
 * ST_IO. */
MUST_CHECK status_t numa_place_near(const char *sysfs, const char *pci, struct numa_place *place,
                                    struct error *err);

/* The calling thread (the one that was moved) back onto the processors it had. Of a place that
 * changed nothing: nothing. */
void numa_place_return(struct numa_place *place);

#endif
