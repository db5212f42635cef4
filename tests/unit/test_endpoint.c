#include "common/endpoint.h"

#include <criterion/criterion.h>

Test(endpoint, tells_how_far_it_reaches)
{
    static const struct {
        const char *endpoint;
        bool is_inside, is_loopback;
    } cases[] = {
        {"ipc:///run/c.sock", true, true},
        {"inproc://api", true, true},
        {"tcp://127.0.0.1:7600", false, true},
        {"tcp://127.9.8.7:*", false, true},
        {"tcp://localhost:7600", false, true},
        {"tcp://[::1]:7600", false, true},
        {"tcp://lo:7600", false, true},
        {"tcp://0.0.0.0:7600", false, false},
        {"tcp://*:7600", false, false},
        {"tcp://[::]:7600", false, false},
        {"tcp://10.0.0.5:7600", false, false},
        {"tcp://eth0:7600", false, false},
        {"tcp://127.0.0.1.evil:1", false, false},
        {"tcp://127.0.0.1", false, false},
        {"tcp://:7600", false, false},
        {"tcp://[]:7600", false, false},
        {"tcp://]:1", false, false},
        {"tcp://", false, false},
        {"udp://127.0.0.1:1", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(endpoint_is_inside(cases[i].endpoint), cases[i].is_inside, "%s",
                     cases[i].endpoint);
        cr_expect_eq(endpoint_is_loopback(cases[i].endpoint), cases[i].is_loopback, "%s",
                     cases[i].endpoint);
    }
}
