/* Any bytes as the beginning of a server's answer: the same verdict whether they come at once or one by one,
 * a verdict once there are enough, and only statuses that exist. */
#include "proxy/health/status_line.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum status_line whole, part = STATUS_LINE_PARTIAL;
    unsigned status = 0, partial_status = 0;

    for (size_t i = 0; i <= size && part == STATUS_LINE_PARTIAL; i++) {
        char *exact = malloc(i + 1); /* so that reading on is noticed */

        if (exact == NULL)
            return 0;
        memcpy(exact, data, i);
        part = status_line_parse(exact, i, &partial_status);
        free(exact);
    }
    whole = status_line_parse((const char *)data, size, &status);
    if (whole != part || status != partial_status ||
        (whole == STATUS_LINE_PARTIAL && size >= STATUS_LINE_MAX))
        abort();
    if (whole == STATUS_LINE_GOOD && (status < 100 || status > 999))
        abort();
    return 0;
}
