/* The memory that this process may still have: what the system has available, less where one of its
 * control groups allows less.
 *
 * /proc/self/cgroup names the process' own group, in each of the two versions that Linux has:
 *
 *   0::/user.slice/job            v2: <mount>/user.slice/job/memory.max, .current, .stat
 *   5:cpu,memory:/user.slice/job  v1: <mount>/memory/.../memory.limit_in_bytes, .usage_in_bytes
 *
 * A group lives under the limits of all groups above it, so every folder from the process' own up
 * to the mount is asked, and the smallest limit and the least that is left count. In a container
 * the named folder may be out of sight; then the mount is the container's own group. Any thread. */
#ifndef KERNELS_CPU_SYSTEM_MEMORY_H
#define KERNELS_CPU_SYSTEM_MEMORY_H

#include "kernels/backend.h"

/* <root>/proc and <root>/sys/fs/cgroup are read; "" is this machine. Zeros: unknown. */
struct backend_memory system_memory(const char *root);

#endif
