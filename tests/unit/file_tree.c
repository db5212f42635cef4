#include "tests/unit/file_tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void file_tree_make(char root[FILE_TREE_ROOT_SIZE])
{
    (void)snprintf(root, FILE_TREE_ROOT_SIZE, "/tmp/interp-tree-XXXXXX");
    cr_assert(mkdtemp(root));
}

void file_tree_write(const char *root, const char *path, const char *text)
{
    char full[512];
    (void)snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    cr_assert(file, "%s", full);
    (void)fputs(text, file);
    (void)fclose(file);
}

void file_tree_remove(const char *root)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", root);
    cr_expect_eq(system(command), 0); /* NOLINT(cert-env33-c): a path of our own */
}
