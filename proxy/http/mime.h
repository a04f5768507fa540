/* Content types by file name. A built-in table; refuses to look into files. */
#pragma once

/* By the extension of name (or path), whatever its case; text types say charset=utf-8. Never NULL:
 * application/octet-stream for what isn't known. Static. */
const char *http_mime_type(const char *name);
