/* Numbers as a GPU may give them, where that is not what this host gives: INTERP_EMU_ARITHMETIC.
 *
 * What is certain of the real thing are bounds, so this takes the worst of them that is simple: a
 * function of the mathematical library is off by as much as NVIDIA documents, to either side;
 * tensor cores cut operands and, within a group of products and the sum so far, all bits below the
 * last one of the largest; a product in f32 is four chains of fused multiply-adds. */
#include "kernels/emu/emu.h"

#include <math.h>
#include <string.h>

namespace emu
{
enum { GROUP = 16, N_CHAINS = 4, MANTISSA_BITS = 24 };
static const double INT64_FLOAT_END = 9223372036854775808.0;

static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* -n to n, the same for the same bits. */
static int step_of(uint64_t bits, int n)
{
    return static_cast<int>(mixed(bits + 1) % static_cast<unsigned>(2 * n + 1)) - n;
}

/* Denormal numbers, 1, what is infinite and what is no number stay. */
template <class T, class Bits> static T stepped(T value, int n_ulp)
{
    Bits bits;
    const T size = value < 0 ? -value : value;
    if (!has_device_arithmetic() || !isnormal(value) || size == 1) return value;
    memcpy(&bits, &value, sizeof bits);
    bits += static_cast<Bits>(step_of(bits, n_ulp));
    memcpy(&value, &bits, sizeof bits);
    return value;
}

float off_by(float value, int n_ulp)
{
    return stepped<float, uint32_t>(value, n_ulp);
}

double off_by(double value, int n_ulp)
{
    return stepped<double, uint64_t>(value, n_ulp);
}

static float toward_zero(double value)
{
    const float near = static_cast<float>(value);
    return fabs(static_cast<double>(near)) > fabs(value) ? nextafterf(near, 0.0f) : near;
}

/* sum + products, each cut below the last bit of the largest; f32 operands must be tf32 already. */
static float add_group(float sum, const float *a, size_t step_a, const float *b, size_t step_b,
                       size_t n)
{
    double products[GROUP], most = fabs(static_cast<double>(sum)), total = 0;
    for (size_t l = 0; l < n; l++) {
        products[l] = static_cast<double>(a[l * step_a]) * static_cast<double>(b[l * step_b]);
        most = fmax(most, fabs(products[l]));
        total += products[l];
    }
    if (most == 0 || !(fabs(total) + most < INT64_FLOAT_END * INT64_FLOAT_END))
        return static_cast<float>(total + static_cast<double>(sum));
    int exponent;
    (void)frexp(most, &exponent);
    const double unit = ldexp(1.0, exponent - MANTISSA_BITS), per_unit = 1 / unit;
    double units = trunc(static_cast<double>(sum) * per_unit);
    for (size_t l = 0; l < n; l++) units += trunc(products[l] * per_unit);
    return toward_zero(units * unit);
}

float device_dot(const float *a, size_t step_a, const float *b, size_t step_b, size_t k,
                 bool is_tensor)
{
    float sum = 0.0f, chains[N_CHAINS] = {};
    for (size_t l = 0; is_tensor && l < k; l += GROUP)
        sum = add_group(sum, a + l * step_a, step_a, b + l * step_b, step_b,
                        k - l < GROUP ? k - l : static_cast<size_t>(GROUP));
    for (size_t l = 0; !is_tensor && l < k; l++)
        chains[l % N_CHAINS] = fmaf(a[l * step_a], b[l * step_b], chains[l % N_CHAINS]);
    return is_tensor ? sum : (chains[0] + chains[2]) + (chains[1] + chains[3]);
}
} // namespace emu
