/* wordcount [FILE...]: counts the lines, words and bytes of files, or of stdin when none is named or one is "-".
 *
 * An ordinary C program. Compiled for WASI it can open the files of the folders it was granted, and no others. */

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct counts {
    unsigned long long lines, words, bytes;
};

/* False when reading failed; errno says why. */
static bool count(FILE *file, struct counts *counts)
{
    char block[16 * 1024];
    size_t size;
    bool in_word = false;

    while ((size = fread(block, 1, sizeof block, file)) > 0) {
        counts->bytes += size;
        for (size_t i = 0; i < size; i++) {
            bool space = isspace((unsigned char)block[i]);
            counts->lines += block[i] == '\n';
            counts->words += !space && !in_word;
            in_word = !space;
        }
    }
    return !ferror(file);
}

static void print(const struct counts *counts, const char *name)
{
    printf("%7llu %7llu %7llu  %s\n", counts->lines, counts->words, counts->bytes, name);
}

int main(int argc, char **argv)
{
    static char *only_stdin[] = { "-" };
    char **names = argc > 1 ? argv + 1 : only_stdin;
    int size = argc > 1 ? argc - 1 : 1;
    struct counts total = { 0 };
    int code = 0;

    for (int i = 0; i < size; i++) {
        bool is_stdin = strcmp(names[i], "-") == 0;
        FILE *file = is_stdin ? stdin : fopen(names[i], "rb");
        struct counts counts = { 0 };

        if (file && count(file, &counts)) {
            print(&counts, is_stdin ? "(stdin)" : names[i]);
        } else {
            /* One file that may not be read does not keep the others from being counted. */
            fprintf(stderr, "wordcount: %s: %s\n", names[i], strerror(errno));
            code = 1;
        }
        if (file && !is_stdin)
            fclose(file);

        total.lines += counts.lines;
        total.words += counts.words;
        total.bytes += counts.bytes;
    }
    if (size > 1)
        print(&total, "total");
    return code;
}
