/* A login strategy in plain C: everybody has a stamp, a word that the gateway keeps. It
 * answers inside the call, so it has no threads and nothing to cancel.
 *
 *   cc -shared -fPIC -I plugin-api/include -o stamp.so tests/plugins/stamp.c
 */
#define _POSIX_C_SOURCE 200809L
#include "portcullis_plugin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INFO                                                                                    \
    "{\"magic\":\"portcullis plugin\",\"abi\":[1,0],\"name\":\"stamp\",\"version\":\"1\","        \
    "\"kinds\":[{\"kind\":\"stamp\",\"operations\":[\"begin\",\"credentials\"]}]}"

__attribute__((section(".portcullis"), used)) static const char info[] = INFO;

static const pc_host *host;

struct instance {
    uint64_t number;
};

static void answer(const struct instance *inst, uint64_t ticket, uint32_t status, const char *text) {
    pc_bytes body = {(const uint8_t *)text, strlen(text)};
    host->complete(inst->number, ticket, status, body);
}

/* The string behind "key":" in a message, as it is written there, escapes and all. */
static char *member(const char *message, const char *key) {
    char name[64];
    snprintf(name, sizeof name, "\"%s\":\"", key);
    const char *from = strstr(message, name);
    if (!from) return NULL;
    from += strlen(name);
    const char *to = from;
    while (*to && *to != '"') to += *to == '\\' && to[1] ? 2 : 1;
    return strndup(from, (size_t)(to - from));
}

static int32_t create(const pc_host *from, uint64_t number, uint64_t ticket, pc_bytes kind,
                      pc_bytes settings, void **out) {
    (void)from, (void)kind, (void)settings;
    struct instance *inst = malloc(sizeof *inst);
    if (!inst) return 1;
    inst->number = number;
    *out = inst;
    answer(inst, ticket, PC_STATUS_OK, "{}");
    return 0;
}

static void begin(const struct instance *inst, uint64_t ticket, const char *message) {
    char reply[1024] = "{\"outcome\":\"denied\",\"reason\":\"bad_credentials\"}";
    char *given = member(message, "password"), *kept = member(message, "secret");
    char *subject = member(message, "subject");
    if (!given) {
        snprintf(reply, sizeof reply,
                 "{\"outcome\":\"form\",\"fields\":[{\"name\":\"username\",\"kind\":\"username\",\"label\":\"Name\"},"
                 "{\"name\":\"password\",\"kind\":\"password\",\"label\":\"Your stamp\",\"required\":true}]}");
    } else if (kept && subject && strcmp(given, kept) == 0) {
        snprintf(reply, sizeof reply, "{\"outcome\":\"authenticated\",\"subject\":\"%s\",\"methods\":[\"pwd\"]}", subject);
    }
    answer(inst, ticket, PC_STATUS_OK, reply);
    free(given), free(kept), free(subject);
}

static void call(void *of, uint64_t ticket, uint32_t op, pc_bytes request) {
    const struct instance *inst = of;
    char *message = strndup((const char *)request.ptr, request.len);
    char reply[1024], *stamp = member(message, "password");
    if (op == PC_OP_BEGIN) {
        begin(inst, ticket, message);
    } else if (op == PC_OP_CREDENTIALS && stamp && strlen(stamp) < 900) {
        snprintf(reply, sizeof reply, "{\"secret\":\"%s\"}", stamp);
        answer(inst, ticket, PC_STATUS_OK, reply);
    } else {
        answer(inst, ticket, PC_STATUS_UNSUPPORTED, "{}");
    }
    free(stamp), free(message);
}

static void destroy(void *of, uint64_t ticket) {
    answer(of, ticket, PC_STATUS_OK, "{}");
    free(of);
}

static pc_plugin plugin = {.struct_size = sizeof(pc_plugin), .abi_major = PC_ABI_MAJOR,
                           .info = {(const uint8_t *)info, sizeof info - 1},
                           .create = create, .call = call, .destroy = destroy};

const pc_plugin *portcullis_plugin_v1(const pc_host *from) {
    host = from;
    return &plugin;
}
