/* What `sluice demo` serves: a directory with a page, a 100 MB file whose content is known in advance, and
 * development certificates beside it. Refuses to know who serves it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEMO_FILE_NAME "100MB.bin"
#define DEMO_FILE_SIZE UINT64_C(100000000)
#define DEMO_DIGEST_SIZE 32

struct demo_site {
    char directory[512]; /* absolute; site/ and certs/ are in it */
    char page[600], file[600], ca[600];
    bool temporary;                         /* removed by demo_site_remove */
    unsigned char digest[DEMO_DIGEST_SIZE]; /* SHA-256 of the file */
};

/* Makes the site, or takes up the one that an earlier demo left: in demo/ next to the program if that is a
 * build tree that can be written to, otherwise in a private directory beneath $TMPDIR. stop, where not NULL,
 * makes it give up once it is set (a signal handler does). 0, or -1 with the reason in error. */
int demo_site_make(struct demo_site *site, const volatile int *stop, char *error, size_t error_size);

/* Removes what is temporary; a site in a build tree stays for the next time. Harmless after a failure. */
void demo_site_remove(struct demo_site *site);
