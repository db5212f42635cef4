/* What one core of this machine can do at most. */
#ifndef WORKER_BENCH_PEAK_H
#define WORKER_BENCH_PEAK_H

/* Operations a second of multiply-adds in registers, f32: the best of some 1 ms bursts. */
double bench_peak_flops(void);

#endif
