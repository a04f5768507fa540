/* The admin page. Three strings, style, markup and script, put together into one document; the policy names
 * style and script by their hashes, so that nothing else can run in the page.
 * Everything that comes from the server is put in as text (textContent), never as markup.
 * Refuses to know the figures: the script asks for them every two seconds. */
#include "proxy/admin/page.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--bg:#f5f6f8;--card:#fff;--text:#1b2330;--dim:#647085;--line:#e1e5eb;"
    "--kernel:#0f8a6a;--user:#c2571a;--accent:#2a5bd7;--bad:#c22f3d}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#11151c;--card:#1a2029;--text:#e4e8ef;--dim:#8e9bb0;"
    "--line:#2a323f;--kernel:#3fc49b;--user:#f0995a;--accent:#7ea2ff;--bad:#ff7b86}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,sans-serif}\n"
    "main,header{max-width:1180px;margin:0 auto;padding:0 20px}\n"
    "header{display:flex;flex-wrap:wrap;gap:6px 22px;align-items:baseline;padding-top:26px}\n"
    "h1{font-size:25px;margin:0;letter-spacing:-.02em}\n"
    "h2{font-size:13px;margin:32px 0 10px;color:var(--dim);text-transform:uppercase;letter-spacing:.07em}\n"
    "h3{font-size:17px;margin:0}\n"
    ".dim{color:var(--dim)}\n"
    ".bad{color:var(--bad)}\n"
    "#state::before{content:'';display:inline-block;width:9px;height:9px;border-radius:50%;"
    "background:var(--kernel);margin-right:7px}\n"
    "#state.off::before{background:var(--bad)}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,520px),1fr));gap:14px}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px;"
    "overflow-x:auto}\n"
    ".head{display:flex;flex-wrap:wrap;gap:2px 12px;align-items:baseline}\n"
    ".head .right{margin-left:auto}\n"
    ".bar{display:flex;height:8px;border-radius:4px;background:var(--line);overflow:hidden;"
    "margin:12px 0 6px}\n"
    ".bar span{display:block;height:100%}\n"
    ".kernel{color:var(--kernel)}\n"
    ".user{color:var(--user)}\n"
    ".bar .kernel{background:var(--kernel)}\n"
    ".bar .user{background:var(--user)}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}\n"
    "th{font-weight:500;text-align:left;color:var(--dim);font-size:12px}\n"
    "th,td{padding:5px 14px 5px 0;border-bottom:1px solid var(--line);white-space:nowrap}\n"
    "tr:last-child td{border-bottom:0}\n"
    "th:last-child,td:last-child{padding-right:0}\n"
    ".num{text-align:right}\n"
    ".mode{font-weight:600}\n"
    ".why{color:var(--dim)}\n"
    ".why,.what{white-space:normal;overflow-wrap:anywhere}\n"
    ".what{min-width:11em}\n"
    ".empty{color:var(--dim);margin:0}\n"
    "footer{max-width:1180px;margin:34px auto;padding:0 20px;color:var(--dim);font-size:13px}\n"
    "a{color:var(--accent)}\n";

static const char markup[] =
    "<header><h1>Sluice</h1><span id=\"state\">connecting</span>\n"
    "<span id=\"facts\" class=\"dim\"></span></header>\n"
    "<main>\n"
    "<h2>Listeners</h2><div id=\"listeners\" class=\"cards\"></div>\n"
    "<h2>Backends</h2><div id=\"backends\" class=\"card\"></div>\n"
    "<h2 id=\"live\">Connections</h2><div id=\"connections\" class=\"card\"></div>\n"
    "</main>\n"
    "<footer><span class=\"kernel\">kernel</span>: bytes that never entered this process. "
    "<span class=\"user\">user</span>: bytes that did. "
    "As data: <a href=\"status.json\">status.json</a>, <a href=\"connections.json\">connections.json</a>, "
    "<a href=\"metrics\">metrics</a>.</footer>\n";

static const char script[] =
    "'use strict';\n"
    "const ROWS = 100, PERIOD = 2000;\n"
    "const $ = id => document.getElementById(id);\n"
    "let before = null;\n"
    "function el(tag, cls, ...children) {\n"
    "  const e = document.createElement(tag);\n"
    "  if (cls) e.className = cls;\n"
    "  for (const c of children) e.append(c instanceof Node ? c : document.createTextNode(String(c)));\n"
    "  return e;\n"
    "}\n"
    "function bytes(n) {\n"
    "  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];\n"
    "  let i = 0;\n"
    "  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }\n"
    "  return (i && n < 100 ? n.toFixed(1) : Math.round(n)) + '\\u00a0' + units[i];\n"
    "}\n"
    "function span(seconds) {\n"
    "  const s = Math.floor(seconds);\n"
    "  if (s < 60) return s + ' s';\n"
    "  if (s < 3600) return Math.floor(s / 60) + ' min ' + s % 60 + ' s';\n"
    "  return Math.floor(s / 3600) + ' h ' + Math.floor(s / 60) % 60 + ' min';\n"
    "}\n"
    "function table(heads, rows) {\n"
    "  const num = heads.map(h => h.startsWith('#'));\n"
    "  const head = el('tr', '', ...heads.map((h, i) =>\n"
    "    el('th', num[i] ? 'num' : '', h.replace('#', ''))));\n"
    "  const body = rows.map(r => el('tr', '', ...r.map((c, i) =>\n"
    "    c instanceof Node && c.tagName === 'TD' ? c : el('td', num[i] ? 'num' : '', c))));\n"
    "  return el('table', '', el('thead', '', head), el('tbody', '', ...body));\n"
    "}\n"
    "function isUser(s) {\n"
    "  return s.mode === 'copy' || s.mode === 'mmap' ||\n"
    "    s.source_crypto === 'user' || s.sink_crypto === 'user';\n"
    "}\n"
    "function crypto(s) {\n"
    "  return s.source_crypto === 'none' && s.sink_crypto === 'none' ? 'none'\n"
    "    : s.source_crypto + ' \\u2192 ' + s.sink_crypto;\n"
    "}\n"
    "function bar(kernel, user) {\n"
    "  const b = el('div', 'bar'), all = kernel + user;\n"
    "  for (const [name, n] of [['kernel', kernel], ['user', user]]) {\n"
    "    const part = el('span', name);\n"
    "    part.style.width = (all ? 100 * n / all : 0) + '%';\n"
    "    b.append(part);\n"
    "  }\n"
    "  return b;\n"
    "}\n"
    "const arrows = { to_client: '\\u2192 client', to_server: '\\u2192 server' };\n"
    "function listener(name, l, rate) {\n"
    "  const c = l.directions.to_client, s = l.directions.to_server;\n"
    "  const kernel = c.kernel_bytes + s.kernel_bytes, user = c.user_bytes + s.user_bytes;\n"
    "  const card = el('div', 'card',\n"
    "    el('div', 'head', el('h3', '', name), el('span', 'dim', (l.tls ? 'TLS ' : '') + l.address),\n"
    "      el('span', 'dim', l.target === name ? '' : l.target),\n"
    "      el('span', 'right', l.connections + ' open, ' + l.total + ' in all')),\n"
    "    bar(kernel, user),\n"
    "    el('div', 'head', el('span', 'kernel', bytes(kernel) + ' kernel'),\n"
    "      el('span', 'user', bytes(user) + ' user'),\n"
    "      el('span', 'right dim', rate === null ? '' : bytes(rate) + '/s')));\n"
    "  if (l.accept_paused)\n"
    "    card.append(el('div', 'bad', 'accepting paused ' + l.accept_paused + ' times'));\n"
    "  const rows = [];\n"
    "  for (const d of ['to_client', 'to_server'])\n"
    "    for (const g of l.directions[d].segments)\n"
    "      rows.push([arrows[d], el('td', 'mode ' + (isUser(g) ? 'user' : 'kernel'), g.mode), crypto(g),\n"
    "        el('td', 'why', Object.entries(g.reasons).map(([r, n]) => r + ' \\u00d7' + n).join(', ')),\n"
    "        bytes(g.bytes)]);\n"
    "  if (rows.length) card.append(table(['direction', 'mode', 'crypto', 'reason', '#bytes'], rows));\n"
    "  return card;\n"
    "}\n"
    "function payload(l) { return l.directions.to_client.bytes + l.directions.to_server.bytes; }\n"
    "function showStatus(s, now) {\n"
    "  $('state').textContent = s.draining ? 'draining' : 'serving';\n"
    "  $('state').className = s.draining ? 'off' : '';\n"
    "  $('facts').textContent = ['version ' + s.version, 'up ' + span(s.uptime_s),\n"
    "    s.workers + (s.workers === 1 ? ' worker' : ' workers'),\n"
    "    'generation ' + s.generation].join(' \\u00b7 ');\n"
    "  $('listeners').replaceChildren(...Object.entries(s.listeners).map(([name, l]) => {\n"
    "    const old = before && before.listeners[name];\n"
    "    const rate = old ? Math.max(0, payload(l) - payload(old)) / (now - before.at) * 1000 : null;\n"
    "    return listener(name, l, rate);\n"
    "  }));\n"
    "  const servers = Object.entries(s.backends).flatMap(([name, b]) => b.servers.map(v =>\n"
    "    [name, v.address + (v.backup ? ' (backup)' : ''), el('td', v.up ? 'kernel' : 'bad', v.state +\n"
    "      (v.ejected_ms ? ' for ' + span(v.ejected_ms / 1000) : '')), v.check ? v.check.result : '',\n"
    "      v.connections + (v.max_connections ? ' of ' + v.max_connections : ''), v.total, v.failures,\n"
    "      v.ejections]));\n"
    "  const queues = Object.entries(s.backends).filter(([, b]) => b.queue.waited || b.queue.overflowed)\n"
    "    .map(([name, b]) => [name, b.queue.length + ' of ' + b.queue.size, b.queue.waited,\n"
    "      b.queue.overflowed, b.queue.timed_out]);\n"
    "  $('backends').replaceChildren(servers.length\n"
    "    ? table(['backend', 'server', 'state', 'last check', '#open', '#total', '#failures', "
    "'#ejections'],\n"
    "        servers)\n"
    "    : el('p', 'empty', 'None configured.'));\n"
    "  if (queues.length)\n"
    "    $('backends').append(\n"
    "      table(['backend', '#queue', '#waited', '#overflowed', '#timed out'], queues));\n"
    "  before = { listeners: s.listeners, at: now };\n"
    "}\n"
    "function how(d) {\n"
    "  const td = el('td');\n"
    "  const seen = new Set();\n"
    "  for (const g of d.segments.slice(-3)) {\n"
    "    const text = g.mode + (crypto(g) === 'none' ? '' : ' (' + crypto(g) + ')') + ', ' + g.reason;\n"
    "    if (!seen.has(text)) td.append(el('div', isUser(g) ? 'user' : 'kernel', text));\n"
    "    seen.add(text);\n"
    "  }\n"
    "  return td;\n"
    "}\n"
    "function showConnections(list, total) {\n"
    "  $('live').textContent = 'Connections (' + total + ')';\n"
    "  const rows = list.slice(-ROWS).reverse().map(c => [c.listener, c.client,\n"
    "    el('td', 'what', (c.request || c.target || '').replace(/ HTTP\\/1\\.\\d$/, '')),\n"
    "    c.tls ? c.tls.version : '', how(c.directions.to_client), bytes(c.directions.to_client.bytes),\n"
    "    how(c.directions.to_server), bytes(c.directions.to_server.bytes), span(c.duration_ms / 1000)]);\n"
    "  $('connections').replaceChildren(rows.length\n"
    "    ? table(['listener', 'client', 'what', 'TLS', 'to client', '#', 'to server', '#', '#age'], rows)\n"
    "    : el('p', 'empty', 'None open at the moment.'));\n"
    "}\n"
    "async function poll() {\n"
    "  try {\n"
    "    const [s, c] = await Promise.all([fetch('status.json'), fetch('connections.json?limit=' + ROWS)]);\n"
    "    if (!s.ok || !c.ok) throw new Error('status ' + s.status + ', ' + c.status);\n"
    "    showStatus(await s.json(), performance.now());\n"
    "    const list = await c.json();\n"
    "    showConnections(list, Number(c.headers.get('Sluice-Total') || list.length));\n"
    "  } catch (e) {\n"
    "    $('state').textContent = 'not answering';\n"
    "    $('state').className = 'off';\n"
    "  }\n"
    "  setTimeout(poll, PERIOD);\n"
    "}\n"
    "poll();\n";

char *page_html(size_t *size)
{
    char *html = NULL;
    int n = asprintf(
        &html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<title>Sluice</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>%s</style>\n</head>\n<body>\n%s"
        "<script>%s</script>\n</body>\n</html>\n",
        style, markup, script);

    if (n < 0)
        return NULL;
    *size = (size_t)n;
    return html;
}

/* "'sha256-...'" of what stands between the tags, as CSP level 2 wants it. */
static int hash_source(const char *text, char *out, size_t size)
{
    unsigned char digest[EVP_MAX_MD_SIZE], encoded[EVP_MAX_MD_SIZE * 2];
    unsigned length;
    int n;

    if (EVP_Digest(text, strlen(text), digest, &length, EVP_sha256(), NULL) != 1)
        return -1;
    EVP_EncodeBlock(encoded, digest, (int)length);
    n = snprintf(out, size, "'sha256-%s'", (const char *)encoded);
    return n > 0 && (size_t)n < size ? 0 : -1;
}

void page_security_policy(char *line, size_t size)
{
    char style_hash[80], script_hash[80];
    int n = -1;

    if (hash_source(style, style_hash, sizeof(style_hash)) == 0 &&
        hash_source(script, script_hash, sizeof(script_hash)) == 0)
        n = snprintf(
            line, size,
            "Content-Security-Policy: default-src 'none'; style-src %s; script-src %s; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n",
            style_hash, script_hash);
    if (n < 0 || (size_t)n >= size)
        line[0] = '\0';
}
