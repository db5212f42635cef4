/* Proposals as a language model writes them. */
#include "common/buffer.h"
#include "coordinator/circuit/proposal_reply.h"

#include <criterion/criterion.h>
#include <string.h>

static status_t read(const char *reply, struct proposals *out, struct error *err)
{
    *err = (struct error){.status = ST_OK};
    return proposal_reply_read(reply, strlen(reply), out, err);
}

Test(proposal_reply, names_and_roles_are_read_in_order)
{
    struct proposals got;
    struct error err;
    cr_assert_eq(read("{\"proposals\":[{\"component\":\"L5H1\",\"role\":\" copies\\n it \"},"
                      "\"a0.h2\",{\"component\":\"L1MLP@end\"}]}",
                      &got, &err),
                 ST_OK, "%s", err.text);
    cr_assert_eq(got.n, 3);
    cr_expect(got.items[0].component.layer == 5 && got.items[0].component.index == 1);
    cr_expect_str_eq(got.items[0].role, "copies it");
    cr_expect(got.items[1].component.type == COMPONENT_HEAD && !got.items[1].role[0]);
    cr_expect_str_eq(got.items[2].component.position, "end");
    cr_expect(!got.is_repaired && got.n_unreadable + got.n_repeated + got.n_beyond == 0);
    proposals_fini(&got);
    proposals_fini(&got);
}

Test(proposal_reply, what_names_nothing_is_counted)
{
    struct proposals got;
    struct error err;
    cr_assert_eq(read("so: {\"proposals\":[\"head five\",7,null,{\"role\":\"x\"},\"L0H1\",\"l0h1\","
                      "{\"component\":\"L0H1\",\"role\":\"again\"},{\"component\":\"\"}]} I think",
                      &got, &err),
                 ST_OK);
    cr_expect(got.is_repaired && got.n == 1 && got.n_unreadable == 5 && got.n_repeated == 2);
    cr_expect_str_eq(got.items[0].role, "");
    proposals_fini(&got);
}

Test(proposal_reply, no_list_is_no_proposal)
{
    static const char *const replies[] = {"",
                                          "the induction heads",
                                          "{\"proposals\":[\"L0H1\"",
                                          "{\"proposals\":\"L0H1\"}",
                                          "{\"proposals\":{\"component\":\"L0H1\"}}",
                                          "[\"L0H1\"]",
                                          "{}"};
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct proposals got;
        struct error err;
        cr_expect_eq(read(replies[i], &got, &err), ST_BAD_INPUT, "%s", replies[i]);
        cr_expect(got.n == 0 && !got.items && err.text[0]);
    }
}

Test(proposal_reply, ten_thousand_are_too_many)
{
    struct proposals got;
    struct error err = {.status = ST_OK};
    struct buffer text;
    buffer_init(&text, 1 << 20);
    cr_assert_eq(buffer_append_text(&text, "{\"proposals\":[\"L0H0\"", NULL), ST_OK);
    for (unsigned i = 1; i < 10000; i++)
        cr_assert_eq(buffer_printf(&text, NULL, ",\"L%uH%u\"", i / 100, i % 100), ST_OK);
    cr_assert_eq(buffer_append_text(&text, "]}", NULL), ST_OK);
    cr_assert_eq(read(buffer_text(&text), &got, &err), ST_OK, "%s", err.text);
    cr_expect(got.n == PROPOSALS_MAX && got.n_beyond == 10000 - PROPOSALS_MAX);
    proposals_fini(&got);
    buffer_fini(&text);
}

/* Cut between characters, and one line. */
Test(proposal_reply, long_and_hostile_roles_stay_short_lines)
{
    struct proposals got;
    struct error err;
    char reply[512] = "{\"proposals\":[{\"component\":\"L0H1\",\"role\":\"\\u001b[2J\\u202e";
    for (int i = 0; i < 60; i++) strcat(reply, "\xc3\xa9");
    strcat(reply, "\"}]}");
    cr_assert_eq(read(reply, &got, &err), ST_OK, "%s", err.text);
    const char *role = got.items[0].role;
    cr_expect(strlen(role) < PROPOSAL_ROLE_SIZE && strlen(role) > PROPOSAL_ROLE_SIZE - 4);
    cr_expect(!strchr(role, 0x1b) && !strchr(role, '\n') && !strstr(role, "\xe2\x80\xae"));
    cr_expect_eq((unsigned char)role[strlen(role) - 1], 0xa9);
    proposals_fini(&got);
}
