#include "coordinator/http/http_listen.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static status_t try_listen(const char *text, struct http_listen *out)
{
    struct error err = {0};
    return http_listen_open(out, text, &err);
}

Test(http_listen, port_0_takes_a_free_one_and_says_which)
{
    static const char *const hosts[] = {"127.0.0.1", "127.8.9.10"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        char text[64], want[64];
        struct http_listen made = {.fd = -1};
        (void)snprintf(text, sizeof text, "%s:0", hosts[i]);
        (void)snprintf(want, sizeof want, "http://%s:", hosts[i]);
        cr_assert_eq(try_listen(text, &made), ST_OK);
        cr_expect_eq(strncmp(made.address, want, strlen(want)), 0, "%s", made.address);
        cr_expect_gt(atoi(made.address + strlen(want)), 0, "%s", made.address);
        cr_expect_eq(close(made.fd), 0);
    }
}

Test(http_listen, a_taken_port_is_a_conflict)
{
    struct http_listen first = {.fd = -1}, second = {.fd = -1};
    cr_assert_eq(try_listen("127.0.0.1:0", &first), ST_OK);
    cr_expect_eq(try_listen(first.address + strlen("http://"), &second), ST_CONFLICT);
    cr_expect_eq(second.fd, -1, "nothing is opened");
    cr_expect_eq(close(first.fd), 0);
    cr_assert_eq(try_listen(first.address + strlen("http://"), &second), ST_OK, "free again");
    cr_expect_eq(close(second.fd), 0);
}

Test(http_listen, only_loopback_addresses_are_taken)
{
    static const char *const texts[] = {
        "0.0.0.0:0",
        "10.0.0.1:0",
        "128.0.0.1:0",
        "[::]:0",
        "[fe80::1]:0",
        "localhost:0",
        "example.com:80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        "127.0.0.1:8 ",
        "127.0.0.1:-1",
        "[::1]",
        "[::1:0",
        ":0",
        "",
        "127.1:0",
        "127.0.0.1:0:0",
        "::1:0",
        "[::ffff:127.0.0.1]:0",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct http_listen made = {.fd = -1};
        cr_expect_eq(try_listen(texts[i], &made), ST_BAD_INPUT, "\"%s\"", texts[i]);
        cr_expect_eq(made.fd, -1);
    }
}

Test(http_listen, a_host_header_must_name_this_machine)
{
    static const struct {
        const char *host;
        bool want;
    } cases[] = {
        {"127.0.0.1", true},
        {"127.0.0.1:8123", true},
        {"localhost", true},
        {"LocalHost:9", true},
        {"[::1]:8123", true},
        {"[::1]", true},
        {"127.1.2.3:1", true},
        {NULL, false},
        {"", false},
        {"evil.example", false},
        {"localhost.evil.example", false},
        {"127.0.0.1.evil", false},
        {"127.0.0.1:x", false},
        {"192.168.0.1:80", false},
        {"[::2]", false},
        {"::1", false},
        {"localhost:99999", false},
        {"[localhost]", false},
        {"127.0.0.1:80@evil", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(http_host_is_loopback(cases[i].host), cases[i].want, "%s",
                     cases[i].host ? cases[i].host : "(none)");
}
