/* Any text as a configuration: it loads or has problems, never both and never neither, and nothing is read
 * out of bounds or lost. */
#include "conf/conf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    struct conf_problems problems = {0};
    struct conf *conf = conf_load_text(text, "fuzz.conf", "/", &problems);
    if ((conf == NULL) != (problems.count > 0)) {
        abort();
    }
    for (size_t i = 0; i < problems.count; i++) {
        if (problems.items[i].line <= 0 || problems.items[i].text[0] == '\0') {
            abort();
        }
    }
    if (conf != NULL && (conf->listener_count == 0 || !conf_reloadable(conf, conf, &problems))) {
        abort();
    }
    conf_free(conf);
    conf_problems_clear(&problems);
    free(text);
    return 0;
}
