/* A disk that fails when a test says so: preloaded into a gateway, it answers writes to the
   store with ENOSPC while the file $FAULTS/full is there, and syncs with EIO while
   $FAULTS/sync is. While $FAULTS/kill is there with `before N` or `after N` in it, the process
   kills itself at the Nth sync of the store. Nothing else is touched. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_on(const char *fault) {
    const char *folder = getenv("FAULTS");
    char path[4096];
    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, fault);
    return access(path, F_OK) == 0;
}

static int is_store(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "portcullis.db") != NULL;
}

/* One writer syncs at a time: the count needs no lock. */
static void die_if_told(const char *now) {
    static int before, after;
    char path[4096], when[16];
    int number;
    snprintf(path, sizeof path, "%s/kill", getenv("FAULTS") ? getenv("FAULTS") : "");
    FILE *file = fopen(path, "r");
    if (!file) return;
    int read = fscanf(file, "%15s %d", when, &number);
    fclose(file);
    if (read != 2 || strcmp(when, now) != 0) return;
    int *count = strcmp(now, "before") == 0 ? &before : &after;
    if (++*count >= number) kill(getpid(), SIGKILL);
}

#define SYNC(name)                                              \
    int name(int fd) {                                          \
        static int (*real)(int);                                \
        if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, #name); \
        if (is_on("sync") && is_store(fd)) {                    \
            errno = EIO;                                        \
            return -1;                                          \
        }                                                       \
        if (!is_store(fd)) return real(fd);                     \
        die_if_told("before");                                  \
        int done = real(fd);                                    \
        die_if_told("after");                                   \
        return done;                                            \
    }

SYNC(fsync)
SYNC(fdatasync)

#define PWRITE(name, offset)                                                              \
    ssize_t name(int fd, const void *data, size_t length, offset at) {                    \
        static ssize_t (*real)(int, const void *, size_t, offset);                        \
        if (!real) real = (ssize_t(*)(int, const void *, size_t, offset))dlsym(RTLD_NEXT, #name); \
        if (is_on("full") && is_store(fd)) {                                              \
            errno = ENOSPC;                                                               \
            return -1;                                                                    \
        }                                                                                 \
        return real(fd, data, length, at);                                                \
    }

PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
