/* Keeps this process on the processors beside its device, so that pinned buffers and weights on
 * their way to it lie in the memory of that NUMA node: a page goes to the node of who touches
 * it first. */
#ifndef WORKER_NUMA_PLACE_H
#define WORKER_NUMA_PLACE_H

#include "common/error.h"

enum { NUMA_UNKNOWN = -1 };

/* The node of the PCI device "0000:3b:00.0" by <sysfs>/bus/pci/devices, and the calling thread
 * (and whoever it makes) onto that node's processors. *node is NUMA_UNKNOWN, and nothing is
 * changed, where sysfs names no node. Errors: ST_CORRUPT (a list of processors that is none),
 * ST_IO. */
MUST_CHECK status_t numa_place_near(const char *sysfs, const char *pci, int *node,
                                    struct error *err);

#endif
