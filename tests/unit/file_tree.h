/* A temporary folder of small files that stands for /, /sys or /proc. */
#ifndef TESTS_UNIT_FILE_TREE_H
#define TESTS_UNIT_FILE_TREE_H

enum { FILE_TREE_ROOT_SIZE = 64 };

void file_tree_make(char root[FILE_TREE_ROOT_SIZE]);
/* <root>/<path>, and the folders on the way. */
void file_tree_write(const char *root, const char *path, const char *text);
void file_tree_remove(const char *root);

#endif
