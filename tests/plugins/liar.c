/* A library that breaks the rules of the boundary on purpose, each in its own way: what
 * it does is chosen by -D when it is compiled, or by the field "do" of a form. */
#define _GNU_SOURCE
#include "portcullis_plugin.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef INFO_ABI
#define INFO_ABI "[1,0]"
#endif
#ifndef INFO_LEAST
#define INFO_LEAST "0"
#endif
#ifndef KIND
#define KIND "liar"
#endif
#ifndef SIZE
#define SIZE sizeof(pc_plugin)
#endif
#ifndef MINOR
#define MINOR 0
#endif

#ifdef BAD_INFO
#define INFO "\xff\xfe garbage"
#else
#define INFO                                                                                     \
    "{\"magic\":\"portcullis plugin\",\"abi\":" INFO_ABI ",\"min_host_minor\":" INFO_LEAST        \
    ",\"name\":\"liar\",\"version\":\"1\",\"kinds\":[{\"kind\":\"" KIND "\",\"operations\":[\"begin\"]}]}"
#endif

#ifndef NO_SECTION
__attribute__((section(".portcullis"), used))
#endif
static const char info[] = INFO;

#ifdef UNDEFINED
void nobody_defines_this(void);
void (*keep)(void) = nobody_defines_this;
#endif

#ifdef MARK
__attribute__((constructor)) static void began(void) {
    FILE *file = fopen(MARK, "w");
    if (file) fclose(file);
}
#endif

#ifdef CRASH
__attribute__((constructor)) static void crash(void) { *(volatile int *)8 = 1; }
#endif

static const pc_host *host;
static uint64_t last, waits;

static void say(uint64_t instance, uint64_t ticket, uint32_t status, const void *bytes, size_t length) {
    pc_bytes body = {bytes, length};
    host->complete(instance, ticket, status, body);
}

static const char YES[] = "{\"outcome\":\"authenticated\",\"subject\":\"ada\"}";
#define FINE YES, sizeof YES - 1

struct later {
    uint64_t instance, ticket;
};

static void *late(void *of) {
    struct later *what = of;
    usleep(1500000);
    say(what->instance, what->ticket, 0, FINE);
    free(what);
    return NULL;
}

static void served(void *user, uint64_t ticket, uint32_t status, pc_bytes body) {
    uint64_t instance = *(uint64_t *)user;
    char text[128];
    snprintf(text, sizeof text, "{\"code\":\"failed\",\"message\":\"service %u %zu\"}", status, body.len);
    say(instance, ticket, PC_STATUS_ERROR, text, strlen(text));
}

static int32_t create(const pc_host *from, uint64_t number, uint64_t ticket, pc_bytes kind,
                      pc_bytes settings, void **out) {
    (void)from, (void)kind;
    uint64_t *inst = malloc(sizeof *inst);
    if (!inst) return 1;
    *inst = number;
    *out = inst;
    if (memmem(settings.ptr, settings.len, "\"refuse\"", 8)) {
        static const char no[] = "{\"code\":\"failed\",\"message\":\"set and refused\"}";
        say(number, ticket, PC_STATUS_ERROR, no, sizeof no - 1);
        return 0;
    }
    if (memmem(settings.ptr, settings.len, "\"silent\"", 8)) return 0;
    if (memmem(settings.ptr, settings.len, "\"number\"", 8)) return 9;
    say(number, ticket, 0, "{}", 2);
    return 0;
}

static int is(pc_bytes request, const char *what) {
    char text[64];
    snprintf(text, sizeof text, "\"do\":\"%s\"", what);
    return memmem(request.ptr, request.len, text, strlen(text)) != NULL;
}

static void large(uint64_t me, uint64_t ticket, size_t length, char fill) {
    char *bytes = malloc(length);
    memset(bytes, fill, length);
    say(me, ticket, 0, bytes, length);
    free(bytes);
}

static void call(void *of, uint64_t ticket, uint32_t op, pc_bytes request) {
    uint64_t me = *(uint64_t *)of;
    (void)op;
    if (is(request, "twice")) {
        say(me, ticket, 0, FINE);
        say(me, ticket, 0, FINE);
    } else if (is(request, "never")) {
        __atomic_fetch_add(&waits, 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(&last, ticket, __ATOMIC_SEQ_CST);
    } else if (is(request, "release")) {
        say(me, __atomic_load_n(&last, __ATOMIC_SEQ_CST), 0, FINE);
        say(me, ticket, 0, FINE);
    } else if (is(request, "foreign")) {
        say(me + 1000, ticket, 0, FINE);
        say(me, ticket + 1000000, 0, FINE);
        say(me, ticket, 0, FINE);
    } else if (is(request, "late")) {
        struct later *what = malloc(sizeof *what);
        pthread_t thread;
        what->instance = me, what->ticket = ticket;
        pthread_create(&thread, NULL, late, what);
        pthread_detach(thread);
    } else if (is(request, "block")) {
        usleep(300000);
        say(me, ticket, 0, FINE);
    } else if (is(request, "service")) {
        pc_bytes none = {NULL, 0};
        host->service(me, none, none, ticket, served, of);
    } else if (is(request, "cut")) {
        say(me, ticket, 0, YES, 20);
    } else if (is(request, "trailing")) {
        say(me, ticket, 0, YES, sizeof YES);
    } else if (is(request, "blessed")) {
        say(me, ticket, 0, "{\"outcome\":\"blessed\"}", 21);
    } else if (is(request, "status")) {
        say(me, ticket, 77, FINE);
    } else if (is(request, "utf8")) {
        say(me, ticket, 0, "{\"outcome\":\"\xff\"}", 15);
    } else if (is(request, "null")) {
        say(me, ticket, 0, NULL, 10);
    } else if (is(request, "8mib")) {
        large(me, ticket, 8 << 20, ' ');
    } else if (is(request, "brackets")) {
        large(me, ticket, 1 << 20, '[');
    } else if (is(request, "empty")) {
        say(me, ticket, 0, NULL, 0);
    } else if (is(request, "nobody")) {
        say(me, ticket, 0, "{\"outcome\":\"authenticated\",\"subject\":\"\"}", 40);
    } else if (is(request, "error")) {
        say(me, ticket, PC_STATUS_ERROR, "]", 1);
    } else if (is(request, "cancelled")) {
        say(me, ticket, PC_STATUS_CANCELLED, NULL, 0);
    } else {
        say(me, ticket, 0, FINE);
    }
}

static void destroy(void *of, uint64_t ticket) {
    uint64_t me = *(uint64_t *)of;
    free(of);
    say(me, ticket, 0, "{}", 2);
}

static pc_plugin plugin = {.struct_size = SIZE, .abi_major = PC_ABI_MAJOR, .abi_minor = MINOR,
                           .info = {(const uint8_t *)info, sizeof info - 1},
                           .create = create,
#ifndef NO_CALL
                           .call = call,
#endif
                           .destroy = destroy};

#ifndef NO_SYMBOL
const pc_plugin *portcullis_plugin_v1(const pc_host *from) {
    host = from;
#ifdef NULL_TABLE
    (void)plugin;
    return NULL;
#else
    return &plugin;
#endif
}
#else
const pc_plugin *other(const pc_host *from);
const pc_plugin *other(const pc_host *from) { host = from; return &plugin; }
#endif
