/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files and folders of inputs, where there is no fuzzer: replay_main PATH ... */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/attr.h"

/* What a fuzzer would try at most. */
#define INPUT_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    DAVY_AUTO_FILE FILE *file = fopen(path, "rbe");
    DAVY_AUTO_FREE uint8_t *data = malloc(INPUT_MAX);
    if (!file || !data) {
        perror(path);
        return 1;
    }
    size_t size = fread(data, 1, INPUT_MAX, file);
    LLVMFuzzerTestOneInput(data, size);
    return 0;
}

static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    int failed = folder ? 0 : 1;
    unsigned count = 0;
    for (const struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        failed |= replay_file(file);
        count++;
    }
    if (folder)
        closedir(folder);
    printf("%s: %u inputs\n", path, count);
    return failed || count == 0; /* an empty corpus tests nothing */
}

int main(int argc, char **argv)
{
    int failed = argc < 2;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        bool folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        failed |= folder ? replay_folder(argv[i]) : replay_file(argv[i]);
    }
    return failed;
}
